"""pricer.processor: dispatch, rejection, weight and recollection."""

import msgspec
import pytest

from pricer.memory import MemoryLog
from pricer.processor import Misaddressed, Pricer
from schemas import commands, entries
from schemas.commands import CreateKey, Genesis, InstallPrice, Meter, MeterEvent, Rates, SeedPrice
from schemas.replies import Refused
from schemas.topics import CONFIG_KEY, PRICE_KEY, partition_of
from streams.types import Decision, Input

PRICER = Pricer(4)
METER = Meter("acme", 1, [MeterEvent("a", "chat"), MeterEvent("a", "chat", idempotency_key="k")], 10, 10, batch=True)


def log_with_prices() -> MemoryLog:
    """A log of four shards with one default price."""
    log = MemoryLog(4)
    log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("1", "0.5", "2"))]))
    return log


def raw(command: commands.Command, key: bytes, request: int = 7) -> Input:
    """A command as the host hands it over, in the partition of its key."""
    return Input(partition_of(key, 4), 5, key, commands.encode(command), 1000, request)


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"[1]", b'{"command":"nothing"}', b'{"command":"meter"}', b"\xff", b'{"command":']
)
def test_what_is_no_command_fails(value: bytes) -> None:
    """The host is told, and what it then writes has no entries but an answer."""
    record = Input(0, 1, b"acme", value, 5, 3)
    with pytest.raises(msgspec.DecodeError):
        PRICER.apply(record, MemoryLog(4).shards[0])
    assert PRICER.reject(record, "no command") == Decision(reply=Refused(3, 400, "rejected", "no command"))
    assert PRICER.reject(record._replace(request=-1), "no command") == Decision()


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (METER, b"other"),
        (InstallPrice(1, 1, "chat", Rates("1", "1", "1")), b"acme"),
        (CreateKey("acme", "00", "m"), b"acme"),
    ],
)
def test_a_command_under_a_foreign_key_fails(command: commands.Command, key: bytes) -> None:
    """A customer's order and the one sequence of ids hold only in their own shard."""
    with pytest.raises(Misaddressed):
        PRICER.apply(raw(command, key), MemoryLog(4).shards[0])


def test_configuration_outside_of_its_shard_fails() -> None:
    """Even under the right key, another partition must not allocate ids."""
    record = raw(CreateKey("acme", "00", "m"), CONFIG_KEY)
    with pytest.raises(Misaddressed):
        PRICER.apply(record._replace(partition=(record.partition + 1) % 4), MemoryLog(4).shards[0])


def test_a_rejected_meter_command_shows_every_event() -> None:
    """One entry without money for each event, with the reason."""
    decision = PRICER.reject(raw(METER, b"acme"), "failed 3 times")
    assert decision.entries is not None
    record = entries.decode(decision.entries)
    assert (record.customer_id, record.raw_offset, record.recorded_at) == ("acme", 5, 1000)
    assert [(e.kind, e.index, e.event, e.total, e.reason) for e in record.entries] == [
        ("rejected", index, event, "0", "failed 3 times") for index, event in enumerate(METER.events)
    ]
    assert decision.reply == Refused(7, 400, "rejected", "failed 3 times")


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


def test_the_weight_of_anything_is_within_bounds() -> None:
    """At least one, at most a full batch, whatever the bytes."""
    assert PRICER.weight(Input(0, 0, b"", b"", 0)) == 1
    assert PRICER.weight(raw(CreateKey("acme", "00", "m"), CONFIG_KEY)) == 1
    assert PRICER.weight(Input(0, 0, b"", b'"agent_id":' * 5000, 0)) == 1000


def test_memories_are_restored_from_the_entries() -> None:
    """What recollect reads out of rev.entries is byte for byte what was remembered live:
    charged and pending events with a key, and nothing else.
    """
    log = log_with_prices()
    live = []
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
        live += log.append(b"acme", Meter("acme", 1, events, 1000, 10, batch=True)).remembered
    restored = [one for shard in log.entries for record in shard for one in PRICER.recollect(record)]
    assert restored == live
    assert [one.key for one in restored] == [b"acme\x1fk1", b"acme\x1fk2", b"acme\x1fk5"]
