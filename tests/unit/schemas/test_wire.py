"""What crosses a process boundary comes out as it went in, at the widest values too."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import commands, entries, ids, money, replies, state
from schemas.commands import Meter, MeterEvent, PriceRef, Rates
from schemas.entries import Entry, EntryRecord
from schemas.limits import MAX_TOKENS

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)
times = st.integers(0, 2**45)
amounts = st.integers(0, money.MAX_EVENT).map(money.format_cents) | st.just(money.format_cents(money.MAX_EVENT))
tokens = st.integers(0, MAX_TOKENS) | st.just(MAX_TOKENS)
rates = st.builds(Rates, amounts, amounts, amounts)
price_refs = st.builds(PriceRef, st.integers(1, 2**53), names, rates, st.integers(0, ids.MAX_OFFSET), st.booleans())
events = st.builds(
    MeterEvent,
    agent_id=names,
    action=names,
    tokens=tokens,
    tokens_input=st.none() | tokens,
    tokens_output=st.none() | tokens,
    outcome=st.sampled_from([None, "success", "failure", "pending"]),
    expires_at=st.none() | times,
    on_expiry=st.sampled_from([None, "failure", "success"]),
    metadata=st.sampled_from([commands.EMPTY, msgspec.Raw(b'{"a":1.10,"b":[null,"\\u00e9"]}')]),
    idempotency_key=st.none() | names,
    event_time=st.none() | times,
    task_id=st.none() | names,
)


@given(names, st.lists(events, min_size=1, max_size=3), st.booleans())
def test_a_meter_command_survives_the_log(customer: str, sent: list[MeterEvent], test: bool) -> None:
    """Every field, and metadata to the byte."""
    command = Meter(customer, 1, sent, 35, 30, batch=True, test=test)
    assert commands.decode(commands.encode(command)) == command


@given(st.lists(st.tuples(events, amounts), min_size=1, max_size=3), st.lists(price_refs, max_size=2), times)
def test_an_entry_record_survives_the_log(rows: list[tuple[MeterEvent, str]], prices: list[PriceRef], at: int) -> None:
    """Events, prices and amounts up to 10^12 cents."""
    made = [
        Entry("event", index, event, 0, amount, amount, "0", amount, f"oc_{at}", at, None, "f" * 32)
        for index, (event, amount) in enumerate(rows)
    ]
    record = EntryRecord("acme", ids.MAX_OFFSET, at, made, prices, 3, True)
    assert entries.decode(entries.encode(record)) == record


@given(price_refs, amounts, times)
def test_answers_survive_the_way_to_the_gateway(price: PriceRef, amount: str, at: int) -> None:
    """Event ids up to 2^53 and amounts up to 10^12 cents."""
    receipt = replies.Receipt(2**53 - 1, at, price, amount, amount, amount, amount, "oc_1")
    record = replies.ReplyRecord(
        63,
        ids.MAX_OFFSET,
        [
            replies.ChargedReply(receipt, True, n=1),
            replies.BatchChargedReply(at, [amount], {0: 2**53 - 1}, [0], n=2),
            replies.RefusedReply(409, "c", "e", [replies.IndexedError(0, "x")], n=3),
            replies.ConfiguredReply(msgspec.Raw(b'{"id":1}'), 200, 9, n=4),
            replies.OutcomeReply(msgspec.Raw(b'{"status":"pending"}'), 201, True, 2**53 - 1, n=5),
        ],
    )
    assert replies.decode(replies.encode(record)) == record


@given(price_refs, amounts, times)
def test_state_survives_the_changelog(price: PriceRef, amount: str, at: int) -> None:
    """Open outcomes and installed prices."""
    outcome = state.OpenOutcome(
        1, "c", "a", "x", at, at, price, price_on_success=amount, on_expiry="success", test=True
    )
    assert state.decode_outcome(state.encode(outcome)) == outcome
    closed = state.ClosedOutcome("c", "expired", amount, 2**53 - 1, at, "task", registered=True)
    assert state.decode_outcome(state.encode(closed)) == closed
    installed = state.InstalledPrice(price.id, price.action_type, price.rates, price.offset, price.is_default)
    assert state.decode_price(state.encode(installed)) == installed


@pytest.mark.parametrize("kind", ["event", "rejected"])
def test_what_is_absent_takes_no_room(kind: entries.EntryKind) -> None:
    """An entry without amounts or an outcome does not spell their absence out."""
    text = entries.encode(Entry(kind, 0, MeterEvent("a", "x")))
    assert text == b'{"kind":"%s","event":{"agent_id":"a","action":"x"}}' % kind.encode()
