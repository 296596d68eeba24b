"""Notices of events whose price has come: none without a price, none twice, and all until the state has none."""

import pytest

from expirer.unpriced_notices import LOOK, REST, SLOWLY, UnpricedNotices, UnpricedRowKey
from schemas import state, unpriced
from schemas.commands import ChargeUnpriced, MeterEvent, Rates
from schemas.price_match import PriceSlot
from schemas.state import InstalledPrice
from schemas.unpriced import MAX_CHARGED, UnpricedEvent, unpriced_key

NOW = 1_777_000_000_000
RATES = Rates("1", "0", "0")


def wait(notices: UnpricedNotices, *ids: int, customer: str = "acme", key: int = 3, test: bool = False) -> None:
    value = unpriced.encode(UnpricedEvent(customer, key, MeterEvent("bot", "chat", 5, model="m"), test))
    for id in ids:
        notices.observed(unpriced_key(id), value)


def price(notices: UnpricedNotices, id: int, start: int | None = None, **slot: str) -> None:
    of = PriceSlot(slot.get("customer"), slot.get("action", "chat"), slot.get("model"), None)
    installed = InstalledPrice(id, of.action, RATES, 1, model=of.model, effective_at=start)
    notices.observed_price(state.price_key(of), state.encode(installed))


def taken(notices: UnpricedNotices, tick: int, now: int = NOW) -> list[list[int]]:
    """Take the notices and say that each is at the offset that is its tick."""
    found = notices.take(now, tick, 100)
    for row, command in found:
        notices.sent(row, command, tick, tick)
    return [command.event_ids for _, command in found]


def test_events_are_named_once_they_have_a_price() -> None:
    """Of any slot that fits, once it has started; a notice is of one customer, mode and key."""
    notices = UnpricedNotices()
    wait(notices, 7, 8)
    wait(notices, 9, test=True)
    wait(notices, 7)
    assert notices.take(NOW, 0, 9) == []
    price(notices, 1, model="other")
    price(notices, 2, customer="globex")
    assert notices.take(NOW, LOOK, 9) == []
    price(notices, 3, NOW + 1, action="*")
    assert notices.take(NOW, 2 * LOOK, 9) == []
    row = UnpricedRowKey("acme", 3, False, "chat", "m", None)
    assert notices.take(NOW + 1, 3 * LOOK, 9) == [
        (row, ChargeUnpriced("acme", 3, [7, 8])),
        (row._replace(test=True), ChargeUnpriced("acme", 3, [9], test=True)),
    ]
    assert notices.waiting == 3


def test_a_notice_is_followed_by_the_next_one_when_the_shard_has_decided_it() -> None:
    notices = UnpricedNotices()
    wait(notices, *range(MAX_CHARGED + 2))
    price(notices, 1)
    assert [len(ids) for ids in taken(notices, 0)] == [MAX_CHARGED]
    assert taken(notices, LOOK) == []
    for id in range(MAX_CHARGED):
        notices.observed(unpriced_key(id), None)
    notices.passed(1)
    assert taken(notices, 2 * LOOK) == [[MAX_CHARGED, MAX_CHARGED + 1]]
    notices.observed(unpriced_key(MAX_CHARGED), None)
    notices.observed(unpriced_key(MAX_CHARGED + 1), None)
    notices.observed(unpriced_key(99_999), None)
    assert notices.waiting == 0
    notices.passed(10**9)
    assert taken(notices, 3 * LOOK) == []


def test_one_that_may_be_lost_is_repeated_soon_and_others_slowly() -> None:
    notices = UnpricedNotices()
    wait(notices, 7)
    price(notices, 1)
    ((row, command),) = notices.take(NOW, 0, 9)
    notices.sent(row, command, -1, 0)
    assert notices.take(NOW, LOOK - 1, 9) == []
    assert taken(notices, LOOK) == [[7]]
    assert taken(notices, SLOWLY) == []
    assert taken(notices, SLOWLY + LOOK) == [[7]]


def test_what_the_shard_leaves_is_named_again_with_another_price_or_after_a_rest() -> None:
    notices = UnpricedNotices()
    wait(notices, 7)
    price(notices, 1)
    assert taken(notices, 0) == [[7]]
    notices.passed(10**9)
    assert taken(notices, LOOK) == []
    price(notices, 2)
    assert taken(notices, 2 * LOOK) == [[7]]
    assert taken(notices, 3 * LOOK) == []
    assert taken(notices, REST) == []
    assert taken(notices, 3 * LOOK + REST) == [[7]]


def test_an_ended_price_asks_for_nothing() -> None:
    notices = UnpricedNotices()
    wait(notices, 7)
    price(notices, 1)
    notices.observed_price(state.price_key(PriceSlot(None, "chat")), None)
    assert taken(notices, 0) == []


def test_at_most_as_many_notices_as_asked_for() -> None:
    notices = UnpricedNotices()
    for number in range(5):
        wait(notices, number, customer=f"c{number}")
    price(notices, 1)
    assert len(notices.take(NOW, 0, 3)) == 3


def test_an_unreadable_record_is_an_error() -> None:
    notices = UnpricedNotices()
    with pytest.raises(ValueError, match="invalid literal"):
        notices.observed(b"unpriced/x", b"{}")
    with pytest.raises(ValueError, match="malformed"):
        notices.observed(unpriced_key(7), b"not json")
