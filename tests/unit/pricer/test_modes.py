"""Test and live are two namespaces: no command of one mode changes what a command of the other comes to."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricer.processor import Pricer
from schemas import commands, entries
from schemas.commands import (
    Command,
    InstallPrice,
    Meter,
    MeterEvent,
    Mode,
    Rates,
    ReadOutcome,
    Register,
    Resolve,
)
from schemas.ids import event_id, outcome_id
from schemas.topics import PRICE_KEY
from streams.overlay import Overlay
from streams.state import Checkpoint, MemoryStore
from streams.types import Decision, InputRecord

ACME = "acme"
WINDOW, TTL = 1000, 400
MODES: tuple[Mode, Mode] = ("live", "test")
KEYS, TASKS = st.sampled_from(["k1", "k2", None]), st.sampled_from(["t1", "t2"])


class Shard:
    """One partition, decided record by record."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.pricer = Pricer(1)
        self.offset = 0
        self.now = 0
        for action in ("chat", "mail"):
            price = InstallPrice(self.offset + 1, self.offset + 1, action, Rates("1", "0.5", "7"))
            self.apply(PRICE_KEY, commands.encode(price), 0)

    def send(self, command: Command, after: int = 1) -> Decision:
        return self.apply(ACME.encode(), commands.encode(command), after)

    def apply(self, key: bytes, value: bytes, after: int) -> Decision:
        """Decide a record that is appended ``after`` ms."""
        self.now += after
        view = Overlay(self.store)
        decision = self.pricer.apply(InputRecord(0, self.offset, key, value, self.now), view)
        view.apply(decision)
        self.store.write(view.changes, view.retained.values(), Checkpoint("e", 0, 0, self.now))
        self.offset += 1
        return decision

    def skip(self, after: int) -> None:
        """A record that is not there: its offset and its time pass."""
        self.now += after
        self.offset += 1


def meter(mode: Mode | None, *events: MeterEvent, batch: bool = False, test: bool | None = None) -> Meter:
    is_test = mode == "test" if test is None else test
    return Meter(ACME, 1, list(events), WINDOW, TTL, batch=batch, test=is_test, mode=mode)


def register(mode: Mode | None, task: str, key: str | None = None, test: bool | None = None, **more: Any) -> Register:
    given: dict[str, Any] = {"agent_id": "a", "price_on_success": "9", "expires_at": 10**6, **more}
    is_test = mode == "test" if test is None else test
    return Register(
        customer_id=ACME,
        api_key_id=1,
        task_id=task,
        idempotency_window=WINDOW,
        idempotency_key=key,
        test=is_test,
        mode=mode,
        **given,
    )


def resolve(mode: Mode | None, target: str, success: bool = True, key: str | None = None) -> Resolve:
    return Resolve(ACME, 1, target, success, WINDOW, idempotency_key=key, mode=mode)


def told(decision: Decision) -> Any:
    """Answer and entries of a decision, to be compared."""
    written = None if decision.entries is None else json.loads(decision.entries, parse_float=Decimal)
    reply = None if decision.reply is None else json.loads(msgspec.json.encode(decision.reply), parse_float=Decimal)
    return written, reply


events = st.builds(
    MeterEvent,
    agent_id=st.just("a"),
    action=st.sampled_from(["chat", "mail", "none"]),
    tokens=st.integers(0, 3),
    outcome=st.sampled_from([None, "success", "pending"]),
    idempotency_key=KEYS,
)
targets = TASKS | st.integers(2, 40).map(lambda offset: outcome_id(event_id(0, offset)))


@st.composite
def steps(draw: st.DrawFn) -> tuple[Mode, Command, int]:
    """A command of a mode, and the ms until it is appended."""
    mode = draw(st.sampled_from(MODES))
    after = draw(st.sampled_from([1, 1, 1, 150, 600]))
    kind = draw(st.sampled_from(["meter", "batch", "register", "resolve", "resolve", "read"]))
    command: Command
    if kind in ("meter", "batch"):
        some = draw(st.lists(events, min_size=1, max_size=3 if kind == "batch" else 1))
        command = meter(mode, *some, batch=kind == "batch")
    elif kind == "register":
        expires_at = draw(st.sampled_from([900, 10**6]))
        command = register(mode, draw(TASKS), draw(KEYS), expires_at=expires_at)
    elif kind == "resolve":
        command = resolve(mode, draw(targets), draw(st.booleans()), draw(KEYS))
    else:
        command = ReadOutcome(ACME, draw(targets), mode)
    return mode, command, after


@settings(max_examples=150, deadline=None)
@given(st.lists(steps(), max_size=30))
def test_no_mode_sees_the_other(given: list[tuple[Mode, Command, int]]) -> None:
    """Every answer and entry of one mode is what it is in a log that holds nothing of the other."""
    both, alone = Shard(), {mode: Shard() for mode in MODES}
    for mode, command, after in given:
        decision = both.send(command, after)
        other = alone["live" if mode == "test" else "test"]
        assert told(decision) == told(alone[mode].send(command, after))
        other.skip(after)
        if decision.entries is not None:
            assert entries.decode(decision.entries).test == (mode == "test")


@pytest.mark.parametrize("mode", MODES)
def test_the_seen_ones(mode: Mode) -> None:
    """What a key of the other mode did in the reports: each of these is a 404 or new here."""
    other: Mode = "live" if mode == "test" else "test"
    shard = Shard()
    shard.send(register(other, "contract", price_on_success="49900"))
    assert status(shard.send(resolve(mode, "contract"))) == 404
    assert status(shard.send(resolve(mode, "contract", success=False))) == 404
    assert status(shard.send(ReadOutcome(ACME, "contract", mode))) == 404
    assert status(shard.send(register(mode, "contract"))) == 201
    assert status(shard.send(resolve(other, "contract"))) == 200
    assert status(shard.send(resolve(mode, "contract", success=False))) == 200
    event = MeterEvent("a", "chat", 1, idempotency_key="k")
    for one in (other, mode):
        reply: Any = shard.send(meter(one, event)).reply
        assert (reply.replayed, reply.receipt.total) == (False, "1.5")
    opened: Any = shard.send(meter(other, MeterEvent("a", "mail", outcome="pending"))).reply
    assert status(shard.send(resolve(mode, opened.receipt.outcome_id))) == 404
    assert status(shard.send(resolve(other, opened.receipt.outcome_id))) == 200


def status(decision: Decision) -> int:
    reply: Any = decision.reply
    return int(reply.status)


@pytest.mark.parametrize("old_test", [False, True])
def test_a_task_of_before(old_test: bool) -> None:
    """A test task of an old log stays one when a live task of the same name is registered; a live one
    stays live. Both are found by name and by id from then on."""
    shard = Shard()
    before = json.loads(bytes(shard.send(register(None, "t", test=old_test)).reply.result))  # type: ignore[union-attr]
    own, other = ("test", "live") if old_test else ("live", "test")
    assert status(shard.send(ReadOutcome(ACME, "t", other))) == 404  # type: ignore[arg-type]
    made = json.loads(bytes(shard.send(register(other, "t")).reply.result))  # type: ignore[arg-type, union-attr]
    for mode, wanted in ((own, before), (other, made)):
        for target in ("t", wanted["outcome_id"]):
            reply: Any = shard.send(ReadOutcome(ACME, target, mode)).reply  # type: ignore[arg-type]
            assert json.loads(bytes(reply.result))["outcome_id"] == wanted["outcome_id"]
        assert status(shard.send(register(mode, "t"))) == 409  # type: ignore[arg-type]


def test_a_verdict_of_before_closes_either() -> None:
    """An old command without a mode still does what it did, also after new ones."""
    shard = Shard()
    shard.send(register("test", "t"))
    id = json.loads(bytes(shard.send(ReadOutcome(ACME, "t", "test")).reply.result))["outcome_id"]  # type: ignore[union-attr]
    assert status(shard.send(resolve(None, id))) == 200
