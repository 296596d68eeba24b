"""The label of an import: with everything that its events leave, and a part of no decision."""

import msgspec
import pytest

from pricer.idempotency import body_hash
from pricer.memory import MemoryShard
from schemas import commands, entries, ids, state
from schemas.commands import Expire, Genesis, Meter, MeterEvent, Rates, ReadOutcome, Resolve, SeedPrice, Void
from schemas.entries import EntryRecord
from schemas.replies import BatchChargedReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.types import Decision

PARTITIONS = 4
ACME = "acme"
SHARD = partition_of(ACME.encode(), PARTITIONS)
NOW = 1_774_915_200_000
EVENT = MeterEvent("mailer", "email.sent", 7, idempotency_key="k")
PENDING = MeterEvent("mailer", "email.sent", outcome="pending", expires_at=NOW + 5000)


@pytest.fixture
def log() -> MemoryShard:
    made = MemoryShard(PARTITIONS)
    made.now = NOW
    made.append(CONFIG_KEY, Genesis("e", [SeedPrice("email.sent", Rates("1", "0.5", "500"))]))
    return made


def meter(log: MemoryShard, label: str | None, *events: MeterEvent) -> Decision:
    return log.append(ACME.encode(), Meter(ACME, 3, list(events), 1000, 10**9, batch=True, import_id=label))


def written(log: MemoryShard) -> EntryRecord:
    return entries.decode(log.entries[SHARD][-1].value)


def last_id(log: MemoryShard) -> int:
    return ids.event_id(SHARD, len(log.raw[SHARD]) - 1)


def test_events_of_an_import_are_labelled(log: MemoryShard) -> None:
    """Charged or rejected; without an import nothing is said."""
    meter(log, "april", EVENT)
    assert written(log).import_id == "april"
    meter(log, "april", MeterEvent("mailer", "none"))
    assert (written(log).entries[0].kind, written(log).import_id) == ("rejected", "april")
    meter(log, None, msgspec.structs.replace(EVENT, idempotency_key="other"))
    assert written(log).import_id is None and b"import" not in log.entries[SHARD][-1].value


def test_the_label_is_no_part_of_a_body(log: MemoryShard) -> None:
    """The same event under another label is a repeat, and stays with its first import."""
    first, again = meter(log, "april", EVENT), meter(log, "may", EVENT)
    assert isinstance(first.reply, BatchChargedReply) and isinstance(again.reply, BatchChargedReply)
    assert again.reply.replayed == {0: last_id(log) - (1 << 16)} and again.entries is None
    assert body_hash(EVENT) == body_hash(msgspec.structs.replace(EVENT, idempotency_key="x"))


@pytest.mark.parametrize("how", ["success", "failure", "expire", "read", "late"])
def test_what_closes_an_outcome_is_labelled_as_what_opened_it(log: MemoryShard, how: str) -> None:
    """By a verdict, by its time, or by a verdict that came too late."""
    meter(log, "april", PENDING)
    id = ids.outcome_id(last_id(log))
    command: commands.Command = Resolve(ACME, 3, id, how != "failure", 1000)
    if how in ("expire", "read", "late"):
        log.now += 6000
    if how in ("expire", "read"):
        command = Expire(ACME, id) if how == "expire" else ReadOutcome(ACME, id)
    decision = log.append(ACME.encode(), command)
    assert written(log).import_id == "april"
    kinds = [entry.kind for entry in written(log).entries]
    assert kinds == {"success": ["charge"], "late": ["waived", "rejected"]}.get(how, ["waived"])
    assert isinstance(decision.reply, RefusedReply) == (how == "late")


def test_a_void_has_the_label_of_its_command(log: MemoryShard) -> None:
    """And leaves that of the open outcome, for what closes it."""
    meter(log, "april", PENDING)
    event_id = last_id(log)
    (entry,) = written(log).entries
    assert entry.event is not None
    parts = {"base": entry.base, "token": entry.token, "bonus": entry.bonus, "total": entry.total}
    void = Void(ACME, event_id, entry.event, **parts, reason="r", outcome_id=entry.outcome_id, import_id="april")
    log.append(ACME.encode(), void)
    assert (written(log).entries[0].kind, written(log).import_id) == ("void", "april")
    log.append(ACME.encode(), Resolve(ACME, 3, ids.outcome_id(event_id), True, 1000))
    assert (written(log).entries[0].kind, written(log).import_id) == ("waived", "april")


def test_what_was_written_before_has_no_label() -> None:
    """Commands, entries and open outcomes of old logs."""
    meter = b'{"command":"meter","customer_id":"a","api_key_id":1,"events":[],"idempotency_window":1,"outcome_ttl":1}'
    old = commands.decode(meter)
    assert isinstance(old, Meter) and old.import_id is None
    assert entries.decode(b'{"customer_id":"a","raw_offset":1,"recorded_at":1,"entries":[]}').import_id is None
    opened = b'{"is":"open","event_id":1,"customer_id":"a","agent_id":"x","action":"c","price_on_success":"1",'
    kept = state.decode_outcome(opened + b'"expires_at":1,"created_at":1}')
    assert isinstance(kept, state.OpenOutcome) and kept.import_id is None
