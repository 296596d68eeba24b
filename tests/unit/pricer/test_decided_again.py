"""What was answered and not committed comes out the same when it is decided again (docs/decisions/0031).

A shard's log is decided three ways: record by record; on two transactions that lie on each other, cut anywhere;
and by lives that are killed between an answer and its commit, each restored from what the one before had committed.
Entries, state and answers are compared byte by byte.
"""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from pricer.processor import Pricer
from schemas.commands import (
    Command,
    Expire,
    Genesis,
    Meter,
    MeterEvent,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
    SeedPrice,
    SetPrice,
)
from schemas.topics import CONFIG_KEY, partition_of
from streams.overlay import Overlay
from streams.state import RETENTION, Checkpoint, MemoryStore
from streams.types import Decision, InputRecord
from tests.unit.pricer import money_steps

PARTITIONS = 2
WINDOW = 100
CUSTOMERS = ("acme", "globex")
KEYS = st.sampled_from(["k1", "k1", "k2", None])
TASKS = st.sampled_from(["t1", "t2", "t3"])

events = st.builds(
    MeterEvent,
    agent_id=st.just("a"),
    action=st.sampled_from(["chat", "chat", "search", "unpriced"]),
    tokens=st.integers(0, 1),
    outcome=st.sampled_from([None, "success", "pending"]),
    idempotency_key=KEYS,
)


def of(customer: str, mode: Any) -> st.SearchStrategy[Command]:
    """A command of a customer and mode."""
    test, own = mode == "test", {"customer_id": st.just(customer), "mode": st.just(mode)}
    keyed = {**own, "api_key_id": st.just(1), "idempotency_window": st.just(WINDOW), "idempotency_key": KEYS}
    meter = {
        "customer_id": st.just(customer), "api_key_id": st.just(1), "idempotency_window": st.just(WINDOW),
        "outcome_ttl": st.integers(1, 50), "test": st.just(test), "mode": st.just(mode),
    }  # fmt: skip
    return st.one_of(
        st.builds(Meter, events=st.lists(events, min_size=1, max_size=1), batch=st.just(False), **meter),
        st.builds(Meter, events=st.lists(events, min_size=1, max_size=4), batch=st.just(True), **meter),
        st.builds(
            Register, task_id=TASKS, agent_id=st.just("a"), price_on_success=st.sampled_from(["5", "0.25"]),
            expires_at=st.integers(1, 400), test=st.just(test), **keyed,
        ),
        st.builds(Resolve, target=TASKS, success=st.booleans(), **keyed),
        st.builds(ReadOutcome, target=TASKS, **own),
        st.builds(Expire, customer_id=st.just(customer), outcome_id=st.sampled_from(["oc_65536", "oc_131072"])),
    )  # fmt: skip


prices = st.builds(
    SetPrice, action_type=st.sampled_from(["chat", "search"]), rates=st.just(Rates("1", "0.5", "2")),
    customer_id=st.sampled_from([None, *CUSTOMERS]),
)  # fmt: skip
commands = st.one_of(
    *(of(customer, mode) for customer in CUSTOMERS for mode in ("live", "test", None)),
    prices,
)


def logged(steps: list[tuple[int, Command]]) -> MemoryShard:
    """A log of these commands, each so many ms after the one before, decided record by record."""
    log = MemoryShard(PARTITIONS, retention=WINDOW)
    log.now = 10
    log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("0.1", "0.01", "0.05"))]))
    for wait, command in steps:
        log.now += wait
        key = CONFIG_KEY if isinstance(command, SetPrice) else command.customer_id.encode()  # type: ignore[union-attr]
        log.append(key, command)
    return log


class Life:
    """A shard's process: what it has decided on a pending transaction, over one that is being committed."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.committing: Overlay | None = None
        self.pending = Overlay(store)
        self.held: list[tuple[InputRecord, Decision]] = []
        self.begun: list[tuple[InputRecord, Decision]] = []

    def decide(self, pricer: Pricer, record: InputRecord) -> Decision:
        decision = pricer.apply(record, self.pending)
        self.pending.apply(decision)
        self.held.append((record, decision))
        return decision

    def begin_commit(self) -> None:
        if self.committing is None:
            self.committing, self.begun, self.held = self.pending, self.held, []
            self.pending = Overlay(self.committing)

    def end_commit(self, entries: list[InputRecord]) -> None:
        """The entries are in the log, then the changes in the store."""
        if self.committing is None:
            return
        for record, decision in self.begun:
            if decision.entries is not None:
                entries.append(InputRecord(record.partition, len(entries), record.key, decision.entries, record.at))
        at = self.begun[-1][0].at if self.begun else 0
        overlay = self.committing
        self.store.write(overlay.changes, overlay.retained.values(), Checkpoint("memory", 0, 0, at))
        self.pending.rest_on(self.store)
        self.committing = None


def restored(
    pricer: Pricer, state: dict[bytes, bytes], entries: list[InputRecord], at: int, window: int
) -> MemoryStore:
    """The store of a new machine: the changelog, and memories made of the entries."""
    store = MemoryStore(window)
    records = [one for entry in entries for one in pricer.retained_from(entry)]
    store.write(state, records, Checkpoint("memory", 0, 0, at))
    return store


def encoded(decision: Decision) -> bytes:
    return msgspec.json.encode([decision.entries and decision.entries.decode(), decision.reply])


PLANS = st.lists(st.sampled_from(["go", "go", "begin", "end", "die"]), min_size=1, max_size=25)


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 9), commands), min_size=1, max_size=60), plan=PLANS)
def test_answers_survive_every_cut_and_every_death(steps: list[tuple[int, Command]], plan: list[str]) -> None:
    """``plan`` repeats: decide a record, begin or end a commit, or die with all that is not committed."""
    decide_by_plan(logged(steps), plan, WINDOW)


@settings(max_examples=25, deadline=None)
@given(steps=money_steps.STEPS, plan=PLANS)
def test_what_moves_money_survives_them_together(steps: list[tuple[int, Any]], plan: list[str]) -> None:
    """Reservations, budgets, grants, caps, volume, voids and the ends of months."""
    decide_by_plan(money_steps.log_of(steps), plan, RETENTION)


def decide_by_plan(log: MemoryShard, plan: list[str], window: int) -> None:
    """Decide a log again as the plan says, and compare all that it leaves."""
    plan = [*plan, "go"]
    for partition in range(PARTITIONS):
        raw = log.raw[partition]
        wanted = record_by_record(raw, log.pricer, window)
        entries: list[InputRecord] = []
        life, answered, following = Life(MemoryStore(window)), {}, 0
        turn = 0
        while following < len(raw):
            what, turn = plan[turn % len(plan)], turn + 1
            if what == "begin":
                life.begin_commit()
            elif what == "end":
                life.end_commit(entries)
            elif what == "die":
                following -= len(life.held) + (0 if life.committing is None else len(life.begun))
                at = raw[following - 1].at if following else 0
                life = Life(restored(log.pricer, dict(life.store.scan(b"")), entries, at, window))
                plan = plan if turn < 500 else ["go"]  # it would die for ever before it commits
            else:
                answer = encoded(life.decide(log.pricer, raw[following]))
                assert answered.setdefault(following, answer) == answer == wanted[following]
                following += 1
        for _ in range(2):
            life.begin_commit()
            life.end_commit(entries)
        assert entries == log.entries[partition]
        assert dict(life.store.scan(b"")) == dict(log.shards[partition].scan(b""))


def record_by_record(raw: list[InputRecord], pricer: Pricer, window: int) -> list[bytes]:
    """The answers when each record is committed before the next one."""
    store, found = MemoryStore(window), []
    for record in raw:
        seen = Overlay(store)
        decision = pricer.apply(record, seen)
        seen.apply(decision)
        store.write(seen.changes, seen.retained.values(), Checkpoint("memory", 0, 0, record.at))
        found.append(encoded(decision))
    return found


def test_the_examples_reach_what_they_should() -> None:
    """Replays, conflicts, outcomes and charges are among what the strategies make."""
    event = MeterEvent("a", "chat", tokens=3, outcome="pending", idempotency_key="k1")
    meter = Meter("acme", 1, [event], WINDOW, 50, mode="live")
    log = logged([(1, meter), (1, meter), (1, Resolve("acme", 1, "t1", True, WINDOW, mode="live"))])
    home = partition_of(b"acme", PARTITIONS)
    kinds = [
        kind for record in log.entries[home] for kind in ("event", "rejected") if f'"{kind}"'.encode() in record.value
    ]
    assert kinds == ["event", "rejected"]
