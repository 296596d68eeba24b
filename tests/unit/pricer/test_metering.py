"""pricer.metering: one event, a batch, a retry, a refusal, a pending event."""

from typing import Any

import msgspec
import pytest

from pricer.memory import MemoryShard
from schemas import entries, ids, state
from schemas.commands import EMPTY, InstallPrice, Meter, MeterEvent, PriceRef, Rates
from schemas.entries import EntryRecord
from schemas.limits import MAX_TOKENS
from schemas.prices import DEFAULTS
from schemas.replies import BatchChargedReply, ChargedReply, IndexedError, RefusedReply
from schemas.topics import PRICE_KEY, partition_of
from streams.types import Decision

CUSTOMER = "acme-corp"
WINDOW = 1000
TTL = 500
PARTITIONS = 4
SHARD = partition_of(CUSTOMER.encode(), PARTITIONS)


@pytest.fixture
def log() -> MemoryShard:
    """A log whose shard of CUSTOMER holds the default prices, at accepted time 10,000."""
    made = MemoryShard(PARTITIONS)
    for number, seed in enumerate(DEFAULTS, 1):
        install(made, number, seed.action_type, seed.rates)
    made.now = 10_000
    return made


def install(log: MemoryShard, number: int, action: str, rates: Rates, customer: str | None = None) -> None:
    """Install a price on CUSTOMER's shard, numbered like its id."""
    command = InstallPrice(number, number, action, rates, customer)
    log.append_value(SHARD, PRICE_KEY, msgspec.json.encode(command))


def event(action: str = "completion", **fields: Any) -> MeterEvent:
    """A meter event of agent-copilot."""
    return MeterEvent("agent-copilot", action, **fields)


def meter(log: MemoryShard, *events: MeterEvent, batch: bool | None = None, **fields: Any) -> Decision:
    """Meter for CUSTOMER: several events as a batch."""
    whole = len(events) > 1 if batch is None else batch
    return log.append(CUSTOMER.encode(), Meter(CUSTOMER, 3, list(events), WINDOW, TTL, whole, **fields))


def written(decision: Decision) -> EntryRecord:
    """The decision's entry record."""
    assert decision.entries is not None
    return entries.decode(decision.entries)


def first_id(log: MemoryShard) -> int:
    """Event id of the first event of the last command."""
    return ids.event_id(SHARD, log.raw[SHARD][-1].offset)


def total_charged(log: MemoryShard) -> list[str]:
    """Every total in the ledger, in order, rejected ones included."""
    return [entry.total for record in log.entries[SHARD] for entry in entries.decode(record.value).entries]


def test_the_references_example_is_priced_exactly(log: MemoryShard) -> None:
    """2400 tokens of completion with success cost .50 + .72 + .25 = 1.47, in the entry and in
    the answer, with the price record that was used and where the log holds it.
    """
    one = event(tokens=2400, outcome="success")
    decision = meter(log, one)
    price = PriceRef(2, "completion", Rates("0.5", "0.0003", "0.25"), 1, is_default=True)
    record = written(decision)
    assert (record.customer_id, record.raw_offset, record.recorded_at) == (CUSTOMER, len(DEFAULTS), 10_000)
    assert (record.prices, record.api_key_id, record.test) == ([price], 3, False)
    assert record.entries == [entries.Entry("event", 0, one, 0, base="0.5", token="0.72", bonus="0.25", total="1.47")]
    assert isinstance(decision.reply, ChargedReply)
    assert decision.reply.receipt.price == price
    assert decision.reply.receipt.total == "1.47"
    assert decision.reply.receipt.event_id == first_id(log)
    assert not decision.reply.replayed
    assert (decision.changes, decision.retained, decision.view, decision.outgoing) == ((), (), (), ())


def test_a_batch_shares_price_records(log: MemoryShard) -> None:
    """Events of one action refer to one price record; ids and totals follow the order sent."""
    sent = [event("chat"), event("search", outcome="success"), event("chat", tokens=10, outcome="failure")]
    decision = meter(log, *sent)
    record = written(decision)
    assert [price.action_type for price in record.prices] == ["chat", "search"]
    assert [(entry.index, entry.price, entry.total) for entry in record.entries] == [
        (0, 0, "0.1"),
        (1, 1, "0.35"),
        (2, 0, "0.101"),
    ]
    assert [entry.event for entry in record.entries] == sent
    assert decision.reply == BatchChargedReply(10_000, ["0.1", "0.35", "0.101"])


def test_actions_without_a_row_of_their_own_share_the_star_row(log: MemoryShard) -> None:
    """Two actions that match the same ``*`` row refer to it once."""
    install(log, 11, "*", Rates("2", "0", "0"))
    record = written(meter(log, event("one"), event("two"), event("chat")))
    assert [price.action_type for price in record.prices] == ["*", "chat"]
    assert [entry.price for entry in record.entries] == [0, 0, 1]


def test_a_retry_gets_the_first_answer_and_leaves_nothing(log: MemoryShard) -> None:
    """Same key, same body: replayed, although the price has changed since; no entry, no state."""
    one = event(tokens=100, outcome="success", idempotency_key="k", metadata=msgspec.Raw(b'{"a":1,"b":2}'))
    first = meter(log, one)
    install(log, 11, "completion", Rates("9", "9", "9"))
    log.now += WINDOW - 1
    again = meter(log, msgspec.structs.replace(one, metadata=msgspec.Raw(b'{ "b": 2, "a": 1 }')))
    assert isinstance(first.reply, ChargedReply)
    assert isinstance(again.reply, ChargedReply)
    assert again.reply.replayed
    assert again.reply.receipt == first.reply.receipt
    assert again == Decision(reply=again.reply)


def test_a_key_with_another_body_is_a_conflict(log: MemoryShard) -> None:
    """409, a rejected entry without money, and the first receipt stays remembered."""
    first = meter(log, event(idempotency_key="k"))
    decision = meter(log, event(tokens=1, idempotency_key="k"))
    assert isinstance(decision.reply, RefusedReply)
    assert (decision.reply.status, decision.reply.code) == (409, "idempotency_conflict")
    assert "'k'" in decision.reply.error
    (entry,) = written(decision).entries
    assert (entry.kind, entry.total, entry.price, entry.reason) == ("rejected", "0", -1, decision.reply.error)
    assert entry.event == event(tokens=1, idempotency_key="k")
    assert decision.retained == ()
    again = meter(log, event(idempotency_key="k")).reply
    assert isinstance(again, ChargedReply)
    assert isinstance(first.reply, ChargedReply)
    assert again.receipt == first.reply.receipt


def test_a_key_is_free_again_after_its_window(log: MemoryShard) -> None:
    """At the end of the window the same key charges anew, also with another body."""
    meter(log, event("chat", idempotency_key="k"))
    log.now += WINDOW
    decision = meter(log, event("search", idempotency_key="k"))
    assert isinstance(decision.reply, ChargedReply)
    assert not decision.reply.replayed
    assert total_charged(log) == ["0.1", "0.25"]


def test_customers_do_not_share_keys(log: MemoryShard) -> None:
    """Another customer of the same shard may use the same key."""
    meter(log, event(idempotency_key="k"))
    other = next(name for name in map(str, range(99)) if partition_of(name.encode(), PARTITIONS) == SHARD)
    decision = log.append(other.encode(), Meter(other, 3, [event("chat", idempotency_key="k")], WINDOW, TTL))
    assert isinstance(decision.reply, ChargedReply)
    assert not decision.reply.replayed


def test_the_same_key_twice_in_a_batch_is_charged_once(log: MemoryShard) -> None:
    """The second is answered with the first's id and total and leaves no entry."""
    one = event("search", idempotency_key="k")
    decision = meter(log, one, event("chat"), one)
    first = first_id(log)
    assert decision.reply == BatchChargedReply(10_000, ["0.25", "0.1", "0.25"], replayed={2: first})
    assert [entry.index for entry in written(decision).entries] == [0, 1]
    assert len(decision.retained) == 1


def test_a_batch_of_retries_leaves_nothing(log: MemoryShard) -> None:
    """A whole batch sent again is answered from memory, in a single or in another order too."""
    sent = [event("chat", idempotency_key=f"k{i}", tokens=i, outcome="pending" if i == 1 else None) for i in range(3)]
    first = meter(log, *sent).reply
    base = first_id(log)
    again = meter(log, *reversed(sent))
    assert isinstance(first, BatchChargedReply)
    assert first.outcomes == [1]
    assert isinstance(again.reply, BatchChargedReply)
    assert again.reply.totals == first.totals[::-1]
    assert again.reply.replayed == {0: base + 2, 1: base + 1, 2: base}
    assert again.reply.outcomes == [1]
    assert again == Decision(reply=again.reply)
    single = meter(log, sent[2]).reply
    assert isinstance(single, ChargedReply)
    assert (single.receipt.event_id, single.receipt.total) == (base + 2, first.totals[2])


def test_a_conflict_within_a_batch_charges_nothing(log: MemoryShard) -> None:
    """One conflict refuses the batch with 409 and names every refused event; nothing of the
    batch is remembered.
    """
    sent = [event("chat", idempotency_key="a"), event("chat", idempotency_key="a", tokens=1), event("nothing")]
    decision = meter(log, *sent)
    assert isinstance(decision.reply, RefusedReply)
    assert (decision.reply.status, decision.reply.code) == (409, "idempotency_conflict")
    assert [error.index for error in decision.reply.errors] == [1, 2]
    assert decision.reply.errors[1] == IndexedError(2, "no price for action 'nothing'")
    rejected = written(decision).entries
    assert [(entry.kind, entry.index, entry.event, entry.total) for entry in rejected] == [
        ("rejected", index, one, "0") for index, one in enumerate(sent)
    ]
    assert all(entry.reason for entry in rejected)
    assert "event 1 was refused" in (rejected[0].reason or "")
    assert (decision.retained, decision.changes) == ((), ())
    assert isinstance(meter(log, sent[0]).reply, ChargedReply)


REFUSED = [
    (event("nothing"), "no price for action 'nothing'"),
    (event("outcome_charge"), "action 'outcome_charge' is reserved"),
    (event("dear", tokens=MAX_TOKENS), "at most 1000000000000 cents"),
    (event("chat", outcome="pending", expires_at=10_000), "expires_at must be in the future"),
    (event("chat", outcome="pending", expires_at=1), "expires_at must be in the future"),
    (event("chat", tokens=-1), "tokens"),
]


@pytest.mark.parametrize(("refused", "error"), REFUSED)
@pytest.mark.parametrize("batch", [False, True])
def test_what_cannot_be_charged_is_refused_visibly(
    log: MemoryShard, refused: MeterEvent, error: str, batch: bool
) -> None:
    """400, rejected entries and no money, alone as in a batch, where all goes or nothing."""
    install(log, 11, "dear", Rates("0", "1.000000000001", "0"))
    install(log, 12, "*" if refused.action == "outcome_charge" else "unused", Rates("1", "1", "1"))
    keyed = msgspec.structs.replace(refused, idempotency_key="k")
    decision = meter(log, event("chat"), keyed) if batch else meter(log, keyed)
    assert isinstance(decision.reply, RefusedReply)
    assert (decision.reply.status, decision.reply.code) == (400, "invalid_request")
    found = decision.reply.errors[0].error if batch else decision.reply.error
    assert error in found
    assert {entry.kind for entry in written(decision).entries} == {"rejected"}
    assert total_charged(log) == ["0"] * (2 if batch else 1)
    assert (decision.retained, decision.changes) == ((), ())
    corrected = meter(log, event("chat", idempotency_key="k")).reply
    assert isinstance(corrected, ChargedReply)
    assert not corrected.replayed


def test_a_pending_event_opens_an_outcome(log: MemoryShard) -> None:
    """Base and tokens are charged, the bonus is not; the open outcome holds what its charge
    will need: the bonus of this moment, whatever the price becomes later.
    """
    one = event(
        "lead.qualified", tokens=3450, outcome="pending", expires_at=12_000, on_expiry="success", task_id="t", model="m"
    )
    decision = meter(log, one, test=True)
    event_id = first_id(log)
    (entry,) = written(decision).entries
    assert (entry.base, entry.token, entry.bonus, entry.total) == ("1", "0.0345", "0", "1.0345")
    assert (entry.outcome_id, entry.expires_at) == (f"oc_{event_id}", 12_000)
    assert isinstance(decision.reply, ChargedReply)
    assert decision.reply.receipt.outcome_id == f"oc_{event_id}"
    ((key, value),) = decision.changes
    assert key == state.outcome_key(f"oc_{event_id}")
    assert value is not None
    assert state.decode_outcome(value) == state.OpenOutcome(
        event_id=event_id,
        customer_id=CUSTOMER,
        agent_id="agent-copilot",
        action="lead.qualified",
        price_on_success="500",
        expires_at=12_000,
        created_at=10_000,
        price=written(decision).prices[0],
        on_expiry="success",
        api_key_id=3,
        test=True,
        task_id="t",
        model="m",
    )


def test_a_pending_event_without_expiry_expires_after_the_ttl(log: MemoryShard) -> None:
    """The time-out that the gateway stamped counts from the accepted time."""
    decision = meter(log, event(outcome="pending"), event("chat"), event(outcome="pending"))
    opened = [state.decode_outcome(value) for _, value in decision.changes if value is not None]
    assert [(one.expires_at, one.on_expiry, one.price_on_failure) for one in opened] == [(10_500, "failure", "0")] * 2
    assert [entry.expires_at for entry in written(decision).entries] == [10_500, None, 10_500]
    assert isinstance(decision.reply, BatchChargedReply)
    assert decision.reply.outcomes == [0, 2]


@pytest.mark.parametrize("outcome", [None, "success", "failure"])
def test_expiry_means_nothing_without_pending(log: MemoryShard, outcome: Any) -> None:
    """Only a pending event opens an outcome or can be refused for its expiry."""
    decision = meter(log, event(outcome=outcome, expires_at=1))
    assert isinstance(decision.reply, ChargedReply)
    assert decision.changes == ()


def test_a_retry_of_an_expired_pending_event_is_still_a_retry(log: MemoryShard) -> None:
    """The memory decides before the expiry does: the first answer comes again."""
    one = event(outcome="pending", expires_at=10_001, idempotency_key="k")
    first = meter(log, one).reply
    log.now = 10_900
    again = meter(log, one).reply
    assert isinstance(first, ChargedReply)
    assert isinstance(again, ChargedReply)
    assert again.receipt == first.receipt
    assert again.replayed


@pytest.mark.parametrize(("count", "batch"), [(0, False), (0, True), (2, False), (1001, True)])
def test_a_command_that_no_gateway_writes_fails(log: MemoryShard, count: int, batch: bool) -> None:
    """No events, or too many, are a defect: the host rejects the record visibly."""
    with pytest.raises(ValueError, match=f"{count} events"):
        meter(log, *[event()] * count, batch=batch)


def test_amounts_at_the_limits_survive_every_encoding(log: MemoryShard) -> None:
    """10^12 cents and 10^12 tokens pass entry, receipt and memory digit by digit."""
    install(log, 11, "dear", Rates("0.000000000001", "0.999999999999", "0.999999999999"))
    one = event("dear", tokens=MAX_TOKENS, outcome="success", idempotency_key="k", metadata=EMPTY)
    decision = meter(log, one)
    assert isinstance(decision.reply, ChargedReply)
    assert decision.reply.receipt.total == "1000000000000"
    (entry,) = written(decision).entries
    assert (entry.token, entry.total) == ("999999999999", "1000000000000")
    assert entry.event == one
    again = meter(log, one).reply
    assert isinstance(again, ChargedReply)
    assert again.receipt == decision.reply.receipt


def test_a_full_batch_is_priced(log: MemoryShard) -> None:
    """A thousand events, the most a record carries, have a thousand consecutive ids."""
    decision = meter(log, *[event("chat", idempotency_key=str(i)) for i in range(1000)])
    assert isinstance(decision.reply, BatchChargedReply)
    assert decision.reply.totals == ["0.1"] * 1000
    assert len(written(decision).entries) == len(decision.retained) == 1000
