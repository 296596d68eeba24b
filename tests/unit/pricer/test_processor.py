"""pricer.processor: dispatch, rejection, weight and recollection."""

import msgspec
import pytest

from pricer.memory import MemoryShard
from pricer.processor import Misaddressed, Pricer
from schemas import commands, entries
from schemas.commands import (
    CreateKey,
    Expire,
    Genesis,
    InstallPrice,
    Meter,
    MeterEvent,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
    SeedPrice,
    Void,
)
from schemas.replies import ChargedReply, RefusedReply
from schemas.topics import CONFIG_KEY, PRICE_KEY, partition_of
from streams.types import Decision, InputRecord, RetainedRecord

PRICER = Pricer(4)
METER = Meter("acme", 1, [MeterEvent("a", "chat"), MeterEvent("a", "chat", idempotency_key="k")], 10, 10, batch=True)
REGISTER = Register("acme", 3, "task", "a", 5000, 1000, price_on_success="4900", price_on_failure="7", test=True)
RESOLVE = Resolve("acme", 4, "task", True, 1000, msgspec.Raw(b'{"agent_id": "a", "more": {"agent_id": "b"}}'))
VOID = Void("acme", 1 << 16, MeterEvent("a", "chat", event_time=5), "1", "0", "0", "1", "why", actor="anna", test=True)
EXPIRE, READ = Expire("acme", "oc_1"), ReadOutcome("acme", "task")


def log_with_prices() -> MemoryShard:
    """A log of four shards with one default price."""
    log = MemoryShard(4)
    log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("1", "0.5", "2"))]))
    return log


def raw(command: commands.Command, key: bytes) -> InputRecord:
    """A command as the host hands it over, in the partition of its key."""
    return InputRecord(partition_of(key, 4), 5, key, commands.encode(command), 1000)


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[1]", b'{"command":"nothing"}', b'{"command":"meter"}', b"\xff", b'{"command":']
)
def test_what_is_no_command_fails(value: bytes) -> None:
    """The host is told, and what it then writes has no entries but an answer."""
    record = InputRecord(0, 1, b"acme", value, 5)
    with pytest.raises(msgspec.DecodeError):
        PRICER.apply(record, MemoryShard(4).shards[0])
    assert PRICER.reject(record, "no command") == Decision(reply=RefusedReply(400, "rejected", "no command"))


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (METER, b"other"),
        (REGISTER, b"other"),
        (RESOLVE, b"other"),
        (EXPIRE, b"other"),
        (READ, b"other"),
        (VOID, CONFIG_KEY),
        (InstallPrice(1, 1, "chat", Rates("1", "1", "1")), b"acme"),
        (CreateKey("acme", "00", "m"), b"acme"),
    ],
)
def test_a_command_under_a_foreign_key_fails(command: commands.Command, key: bytes) -> None:
    """A customer's order and the one sequence of ids hold only in their own shard."""
    with pytest.raises(Misaddressed):
        PRICER.apply(raw(command, key), MemoryShard(4).shards[0])


def test_configuration_outside_of_its_shard_fails() -> None:
    """Even under the right key, another partition must not allocate ids."""
    record = raw(CreateKey("acme", "00", "m"), CONFIG_KEY)
    with pytest.raises(Misaddressed):
        PRICER.apply(record._replace(partition=(record.partition + 1) % 4), MemoryShard(4).shards[0])


def test_a_rejected_meter_command_shows_every_event() -> None:
    """One entry without money for each event, with the reason."""
    decision = PRICER.reject(raw(METER, b"acme"), "failed 3 times")
    assert decision.entries is not None
    record = entries.decode(decision.entries)
    assert (record.customer_id, record.raw_offset, record.recorded_at) == ("acme", 5, 1000)
    assert [(e.kind, e.index, e.event, e.total, e.reason) for e in record.entries] == [
        ("rejected", index, event, "0", "failed 3 times") for index, event in enumerate(METER.events)
    ]
    assert decision.reply == RefusedReply(400, "rejected", "failed 3 times")


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (CreateKey("acme", "00", "m"), CONFIG_KEY),
        (InstallPrice(1, 1, "chat", Rates("1", "1", "1")), PRICE_KEY),
        (Meter("acme", 1, [MeterEvent("a", "chat")] * 1001, 10, 10, batch=True), b"acme"),
    ],
)
def test_other_rejected_commands_leave_one_entry(command: commands.Command, key: bytes) -> None:
    """Configuration, prices, and a command with more events than there are ids for."""
    decision = PRICER.reject(raw(command, key), "why")
    assert decision.entries is not None
    (entry,) = entries.decode(decision.entries).entries
    assert (entry.kind, entry.index, entry.reason) == ("rejected", 0, "why")


@pytest.mark.parametrize(
    ("command", "type", "test", "key_id", "actor"),
    [
        (REGISTER, "register", True, 3, None),
        (RESOLVE, "resolve", False, 4, None),
        (VOID, "void", True, 0, "anna"),
    ],
)
def test_a_rejected_command_about_outcomes_says_which(
    command: commands.Command, type: str, test: bool, key_id: int, actor: str | None
) -> None:
    """One entry without money under the customer, with the command's name, so that it is taken
    for no meter event.
    """
    decision = PRICER.reject(raw(command, b"acme"), "failed 3 times")
    assert decision.entries is not None
    record = entries.decode(decision.entries)
    assert (record.customer_id, record.raw_offset, record.recorded_at) == ("acme", 5, 1000)
    assert (record.test, record.api_key_id) == (test, key_id)
    assert record.entries == [entries.Entry("rejected", type=type, reason="failed 3 times", actor=actor)]
    assert decision == Decision(decision.entries, reply=RefusedReply(400, "rejected", "failed 3 times"))


@pytest.mark.parametrize("command", [EXPIRE, READ])
def test_a_rejected_question_leaves_nothing(command: commands.Command) -> None:
    """A reminder and a look change nothing by themselves; who waits is told."""
    assert PRICER.reject(raw(command, b"acme"), "why") == Decision(reply=RefusedReply(400, "rejected", "why"))


def test_a_rejection_under_a_key_that_is_no_text_is_still_written() -> None:
    """Whatever bytes the key has, the refusal becomes visible."""
    decision = PRICER.reject(raw(CreateKey("acme", "00", "m"), b"\xff\xfe"), "why")
    assert decision.entries is not None
    assert entries.decode(decision.entries).entries[0].reason == "why"


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_the_weight_is_the_number_of_events(count: int) -> None:
    """Known without decoding the record."""
    events = [MeterEvent("a", "chat", metadata=msgspec.Raw(b'{"x":[1]}'))] * count
    assert PRICER.weight(raw(Meter("acme", 1, events, 10, 10, batch=True), b"acme")) == count


def test_what_may_close_an_outcome_weighs_more_than_an_event() -> None:
    """A reminder of 60 bytes writes an outcome's 32 KiB again: a transaction takes 500 of them, which
    stays within the size of one record's topic many times over.
    """
    assert [PRICER.weight(raw(command, b"acme")) for command in (RESOLVE, EXPIRE, READ)] == [10, 10, 10]
    assert [PRICER.weight(raw(command, b"acme")) for command in (REGISTER, VOID)] == [1, 1]


def test_the_weight_of_anything_is_within_bounds() -> None:
    """At least one, at most a full batch, whatever the bytes."""
    assert PRICER.weight(InputRecord(0, 0, b"", b"", 0)) == 1
    assert PRICER.weight(raw(CreateKey("acme", "00", "m"), CONFIG_KEY)) == 1
    assert PRICER.weight(InputRecord(0, 0, b"", b'"agent_id":' * 5000, 0)) == 1000


def test_memories_are_restored_from_the_entries() -> None:
    """What recollect reads out of rev.entries is byte for byte what was remembered live:
    charged and pending events with a key, and nothing else.
    """
    log = log_with_prices()
    live: list[RetainedRecord] = []
    for events in (
        [MeterEvent("a", "chat", 3, outcome="success", idempotency_key="k1"), MeterEvent("a", "chat")],
        [
            MeterEvent("a", "chat", outcome="pending", idempotency_key="k2"),
            MeterEvent("a", "chat", idempotency_key="k1"),
        ],
        [MeterEvent("a", "unknown", idempotency_key="k3"), MeterEvent("a", "chat", idempotency_key="k4")],
        [
            MeterEvent("a", "chat", outcome="pending", idempotency_key="k2"),
            MeterEvent("a", "chat", idempotency_key="k5"),
        ],
    ):
        log.now += 10
        live += log.append(b"acme", Meter("acme", 1, events, 1000, 10, batch=True)).retained
    restored = [one for shard in log.entries for record in shard for one in PRICER.retained_from(record)]
    assert restored == live
    assert [one.key for one in restored] == [b"acme\x1fk1", b"acme\x1fk2", b"acme\x1fk5"]


def test_memories_of_outcomes_are_restored_from_the_entries() -> None:
    """Byte for byte as they were remembered live, in the same order: the answers under the keys of
    what opened and closed an outcome, and the object of each that ended, by whatever closed it;
    nothing of refusals, repeats, voids and looks.
    """
    log, n = log_with_prices(), iter(range(1, 99))
    live: list[RetainedRecord] = []
    pending = MeterEvent("a", "chat", outcome="pending", idempotency_key="event", expires_at=5000)
    criteria = msgspec.Raw('{ "a": 1.50, "é": [] }'.encode())
    log.now = 1000

    def send(command: commands.Command) -> Decision:
        log.now += next(n)
        decision = log.append(b"acme", command)
        live.extend(decision.retained)
        return decision

    event = send(Meter("acme", 1, [pending], 10**6, 10))
    assert isinstance(event.reply, ChargedReply)
    by_event = event.reply.receipt.outcome_id or ""
    send(msgspec.structs.replace(REGISTER, idempotency_key="task", success_criteria=criteria))
    send(msgspec.structs.replace(REGISTER, task_id="late"))
    send(msgspec.structs.replace(REGISTER, idempotency_key="refused"))
    send(msgspec.structs.replace(RESOLVE, target=by_event, success=False, idempotency_key="verdict"))
    send(msgspec.structs.replace(RESOLVE, target=by_event, success=False, idempotency_key="repeat"))
    send(msgspec.structs.replace(RESOLVE, evidence=commands.EMPTY))
    send(msgspec.structs.replace(RESOLVE, success=False, idempotency_key="refused"))
    log.now = 6000
    send(msgspec.structs.replace(RESOLVE, target="late", idempotency_key="too late"))
    send(READ)
    restored = [one for shard in log.entries for record in shard for one in PRICER.retained_from(record)]
    assert restored == live
    by_task, late = (
        log.shards[partition_of(b"acme", 4)].get(f"task/acme\x1f{name}".encode()) for name in ("task", "late")
    )
    assert [one.key.decode() for one in restored] == [
        "acme\x1fevent",
        "acme\x1f\x1ftask",  # of a test task
        "acme\x1fverdict",
        f"outcome/{by_event}",
        f"outcome/{(by_task or b'').decode()}",
        f"outcome/{(late or b'').decode()}",
    ]
