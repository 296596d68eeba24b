"""pricer.price_records: a shard takes each numbered price once, in order."""

import pytest

from pricer.memory import MemoryShard
from schemas import state
from schemas.commands import InstallPrice, Rates, encode
from schemas.price_match import PriceSlot
from schemas.topics import PRICE_KEY
from streams.types import Decision

RATES = Rates("1", "0", "0")


def send(log: MemoryShard, number: int, customer: str | None = None, active: bool = True) -> Decision:
    """A price record for ``chat`` at partition 0, whose id is its number."""
    return log.append_value(0, PRICE_KEY, encode(InstallPrice(number, number, "chat", RATES, customer, active)))


def in_force(log: MemoryShard, customer: str | None = None) -> state.InstalledPrice | None:
    """The price that the shard would use."""
    value = log.shards[0].get(state.price_key(PriceSlot(customer, "chat")))
    return None if value is None else state.decode_price(value)


def test_a_price_is_kept_with_its_address() -> None:
    """The raw offset of the record is what later entries point to."""
    log = MemoryShard(1)
    send(log, 1)
    send(log, 2, "acme")
    assert in_force(log) == state.InstalledPrice(1, "chat", RATES, 0, is_default=True)
    assert in_force(log, "acme") == state.InstalledPrice(2, "chat", RATES, 1)


@pytest.mark.parametrize("repeated", [1, 4, 5])
def test_what_came_before_is_ignored(repeated: int) -> None:
    """A record sent again after a restart changes nothing, the address included."""
    log = MemoryShard(1)
    for number in (1, 4, 5):
        send(log, number)
    before = dict(log.shards[0].scan(b""))
    assert send(log, repeated) == Decision()
    assert dict(log.shards[0].scan(b"")) == before


def test_gaps_are_normal() -> None:
    """Numbers of overrides that went to other shards are missing here."""
    log = MemoryShard(1)
    send(log, 3)
    send(log, 17)
    installed = in_force(log)
    assert installed is not None
    assert installed.id == 17


def test_a_withdrawn_price_is_gone() -> None:
    """An inactive record removes the price, and an old active one does not bring it back."""
    log = MemoryShard(1)
    send(log, 1)
    send(log, 2, active=False)
    send(log, 1)
    assert in_force(log) is None
