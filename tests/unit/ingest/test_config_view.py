"""The typed view of rev.config, record by record."""

from ingest.config_view import ConfigView
from schemas.commands import Rates
from schemas.config import ApiKey, Customer, Price, customer_key, encode, key_key, price_key

RATES = Rates("1", "0", "0")


def price(id: int, action: str, customer: str | None = None, active: bool = True) -> tuple[bytes, bytes]:
    return price_key(id), encode(Price(id, id, action, RATES, 0, customer, active))


def view_of(*records: tuple[bytes, bytes | None]) -> ConfigView:
    view = ConfigView()
    for offset, (key, value) in enumerate(records):
        view.apply(key, value, offset)
    return view


def which(view: ConfigView, customer: str, action: str) -> int | None:
    found = view.price_for(0, customer, action)
    return found and found.id


def test_the_most_specific_row_is_in_force() -> None:
    """customer+action, customer+*, default+action, default+*, none."""
    rows = [price(1, "*"), price(2, "chat"), price(3, "*", "c"), price(4, "chat", "c")]
    assert which(view_of(), "c", "chat") is None
    for count in range(1, 5):
        assert which(view_of(*rows[:count]), "c", "chat") == count
    assert which(view_of(*rows), "d", "chat") == 2
    assert which(view_of(*rows), "d", "other") == 1
    assert which(view_of(*rows), "c", "other") == 3


def test_a_price_that_follows_another_is_in_force_in_either_order_of_the_two_records() -> None:
    """The end of the old row may come before or after the new row."""
    old, ended, new = price(1, "chat"), price(1, "chat", active=False), price(2, "chat")
    for order in ([old, ended, new], [old, new, ended], [new, ended]):
        view = view_of(*order)
        assert which(view, "c", "chat") == 2
        assert [row.id for row in view.active_prices(0)] == [2]
    assert which(view_of(old, ended), "c", "chat") is None
    assert which(view_of(old, (price_key(1), None)), "c", "chat") is None


def test_a_key_is_found_by_its_hash_until_a_tombstone() -> None:
    """A revoked key stays known as inactive."""
    key = ApiKey(7, "c", "h", "rg_m", 0)
    view = view_of((key_key(7), encode(key)))
    assert view.keys_by_hash["h"] == key
    revoked = ApiKey(7, "c", "h", "rg_m", 0, is_active=False)
    view.apply(key_key(7), encode(revoked), 1)
    assert view.keys_by_hash["h"].is_active is False and list(view.keys) == [7]
    view.apply(key_key(7), None, 2)
    assert not view.keys and not view.keys_by_hash


def test_customers_epoch_and_kinds_of_a_later_version() -> None:
    """What is not known is passed over, not an error."""
    view = view_of(
        (b"epoch", b'{"epoch":"e1"}'),
        (customer_key("ü/x"), encode(Customer("ü/x", 0, test=True))),
        (b"kind-of-2030/1", b"{}"),
    )
    assert view.epoch == "e1" and view.is_test("ü/x") and not view.is_test("other")
    view.apply(customer_key("ü/x"), None, 3)
    assert not view.is_test("ü/x")
