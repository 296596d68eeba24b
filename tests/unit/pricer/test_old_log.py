"""An older log keeps its meaning: the pricer of today reads the log of 6328046 to the same entries."""

import json
from decimal import Decimal
from typing import Any

import pytest

from pricer.processor import Pricer
from schemas import commands, entries
from schemas.commands import Meter, Mode, ReadOutcome, Register, Resolve
from schemas.entries import EntryRecord
from schemas.outcome_terms import ADDED_TERMS
from streams.overlay import Overlay
from streams.state import Checkpoint, MemoryStore
from streams.types import InputRecord
from tests.old_log import PARTITIONS, Raw, by_partition, old_log

NEW_IN_DETAIL = {"test", "metered", *(term.shown_as for term in ADDED_TERMS)}
"""Fields that objects in ``detail`` have gained since."""


def decided(records: list[Raw]) -> tuple[MemoryStore, dict[int, EntryRecord]]:
    """One shard's state and entries (by raw offset) after these records."""
    pricer, store, found = Pricer(PARTITIONS), MemoryStore(), {}
    at = 0
    for raw in records:
        at = max(at, raw.at)
        record = InputRecord(raw.partition, raw.offset, raw.key, raw.value, at)
        view = Overlay(store)
        decision = pricer.apply(record, view)
        view.apply(decision)
        store.write(view.changes, view.retained.values(), Checkpoint("e", 0, 0, at))
        if decision.entries is not None:
            found[raw.offset] = entries.decode(decision.entries)
    return store, found


def told(record: EntryRecord) -> Any:
    """An entry record as plain values, without what ``detail`` has gained since."""
    shown = json.loads(entries.encode(record), parse_float=Decimal)
    for entry in shown["entries"]:
        detail = entry.pop("detail", {})
        entry["detail"] = {name: value for name, value in detail.items() if name not in NEW_IN_DETAIL}
    return shown


@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_the_old_log_is_read_to_the_same_entries(partition: int) -> None:
    """Every entry, with its cents, outcome, verdict, reason and hash, and no other one."""
    log = old_log()
    _, found = decided(by_partition(log.raw)[partition])
    wanted = {offset: record for (shard, offset), record in log.entries.items() if shard == partition}
    assert found.keys() == wanted.keys()
    for offset, record in wanted.items():
        assert told(found[offset]) == told(record)


def test_the_old_log_is_worth_reading() -> None:
    """It holds what separate modes changed: keys, tasks and outcomes that both modes used."""
    log = old_log()
    kinds = {entry.kind for record in log.entries.values() for entry in record.entries}
    assert kinds == {"event", "registered", "charge", "waived", "void", "rejected", "config"}
    verdicts = [c for raw in log.raw if isinstance(c := commands.decode(raw.value), Resolve)]
    assert len(verdicts) > 50 and all(c.mode is None for c in verdicts)
    live_keys = {key for record in log.entries.values() for key in _keys(record, test=False)}
    refused = {key for record in log.entries.values() for key in _keys(record, test=True, kind="rejected")}
    assert live_keys & refused


def _keys(record: EntryRecord, test: bool, kind: str = "event") -> list[tuple[str, str]]:
    if record.test != test:
        return []
    found = [entry.event for entry in record.entries if entry.kind == kind and entry.event is not None]
    return [(record.customer_id, event.idempotency_key) for event in found if event.idempotency_key]


def _after(records: list[Raw], command: commands.Command, customer: str) -> tuple[EntryRecord | None, Any]:
    """What a command of today comes to at the end of the old log of its shard, a week after."""
    store, _ = decided(records)
    last = records[-1]
    record = InputRecord(last.partition, last.offset + 1, customer.encode(), commands.encode(command), last.at + 1000)
    decision = Pricer(PARTITIONS).apply(record, store)
    return None if decision.entries is None else entries.decode(decision.entries), decision.reply


def _first_event(test: bool) -> tuple[EntryRecord, int]:
    """The latest charged event of a mode that has a key, and its partition."""
    found = [
        (record, shard)
        for (shard, _), record in old_log().entries.items()
        if record.test == test and any(e.kind == "event" and e.body_hash is not None for e in record.entries)
    ]
    return max(found, key=lambda one: one[0].recorded_at)


@pytest.mark.parametrize("was_test", [False, True])
@pytest.mark.parametrize("mode", ["live", "test"])
def test_an_old_key_belongs_to_the_mode_that_used_it(was_test: bool, mode: Mode) -> None:
    """A retry over the upgrade is known in its own mode; to the other one the key is new."""
    record, shard = _first_event(was_test)
    event = next(e.event for e in record.entries if e.kind == "event" and e.body_hash is not None)
    assert event is not None
    command = Meter(record.customer_id, 1, [event], 35 * 86_400_000, 1000, test=mode == "test", mode=mode)
    _, reply = _after(by_partition(old_log().raw)[shard], command, record.customer_id)
    assert getattr(reply, "replayed", None) is (mode == ("test" if was_test else "live"))


@pytest.mark.parametrize("mode", ["live", "test"])
def test_an_old_test_task_is_no_live_one(mode: Mode) -> None:
    """Test finds and resolves it; live gets 404, may register the task, and then both have their own."""
    records = by_partition(old_log().raw)
    record, shard, task = next(
        (record, shard, entry.event.task_id)
        for (shard, _), record in old_log().entries.items()
        for entry in record.entries
        if entry.kind == "registered" and record.test and entry.event is not None
    )
    customer = record.customer_id
    assert task is not None
    _, reply = _after(records[shard], ReadOutcome(customer, task, mode), customer)
    assert reply.status == (200 if mode == "test" else 404)
    expires_at = records[shard][-1].at + 10**9
    command = Register(
        customer, 1, task, "agent", expires_at, 1000, price_on_success="5", test=mode == "test", mode=mode
    )
    written, reply = _after(records[shard], command, customer)
    assert reply.status == (409 if mode == "test" else 201)
    assert written is not None and written.test == (mode == "test")
