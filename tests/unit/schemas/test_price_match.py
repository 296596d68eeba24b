"""schemas.price_match: the order of rows, and the pricer and the view that both follow it."""

import itertools

import pytest

from ingest.config_view import ConfigView
from pricer import prices
from schemas import config, state
from schemas.commands import Rates
from schemas.price_match import PriceSlot, candidates
from streams.state import Checkpoint, MemoryStore

ORDER = [
    PriceSlot(customer, action, model, provider)
    for customer, action, model, provider in itertools.product(
        ("acme", None), ("chat", "*"), ("m", None), ("openai", None)
    )
]


def test_customer_before_action_before_model_before_provider() -> None:
    """All 16 rows, in the documented order."""
    assert candidates("acme", "chat", "m", "openai") == tuple(ORDER)


def test_an_event_without_a_model_meets_no_row_of_one() -> None:
    """Four rows without labels; a row for a model needs an event that names it."""
    assert [slot.scoped for slot in candidates("acme", "chat")] == [False] * 4
    assert all(slot.model is None for slot in candidates("acme", "chat", provider="openai"))


@pytest.mark.parametrize("first", range(16))
def test_pricer_and_view_find_the_same_row(first: int) -> None:
    """Of the rows from ``first`` on, and others that never fit, both find the first."""
    noise = [PriceSlot("other", "chat", "m"), PriceSlot("acme", "search"), PriceSlot(None, "chat", "n", "openai")]
    shard, view, changes = MemoryStore(), ConfigView(), {}
    for id, slot in enumerate([*ORDER[first:][::-1], *noise], 1):
        rates = Rates("1", "0", "0")
        installed = state.InstalledPrice(
            id, slot.action, rates, id, slot.customer_id is None, slot.model, slot.provider
        )
        changes[state.price_key(slot)] = state.encode(installed)
        row = config.Price(id, id, slot.action, rates, 0, slot.customer_id, model=slot.model, provider=slot.provider)
        view.apply(config.price_key(id), config.encode(row), id)
    shard.write(changes, [], Checkpoint("e", 0, 0, 0))
    found = prices.in_force(shard, 0, "acme", "chat", "m", "openai")
    shown = view.price_for(0, "acme", "chat", "m", "openai")
    assert found is not None and shown is not None
    assert (found.ref.id, shown.id) == (16 - first, 16 - first)
    assert (found.ref.model, found.ref.provider) == ORDER[first][2:]


def test_the_key_of_a_row_without_labels_is_that_of_older_logs() -> None:
    """A state that was written before rows had models is read as it was."""
    assert state.price_key(PriceSlot("acme", "chat")) == b"price/acme\x1fchat"
    slots = [PriceSlot("a", "b", "c"), PriceSlot("a", "b", None, "c"), PriceSlot("a", "b"), PriceSlot(None, "b", "c")]
    assert len({state.price_key(slot) for slot in slots}) == len(slots)
