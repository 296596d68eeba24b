"""Outcomes under random interleavings, against a model that shares no code with the pricer.

Several customers over several shards register, meter pending events, resolve, read and void, with
retries, duplicates and foreign hands; timers come early, late and twice; prices change; shards are
rebuilt from what was committed.
"""

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pricer.memory import MemoryShard
from schemas import entries, ids
from schemas.commands import (
    EMPTY,
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
    Void,
)
from schemas.replies import BatchChargedReply, ChargedReply, OutcomeReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.state import Checkpoint, MemoryStore
from streams.types import Decision, RetainedRecord
from tests.unit.pricer.outcome_model import OBJECTS, TTL, WINDOW, Expected, Json, Model, value

PARTITIONS = 3
START = 1_774_915_200_000
CUSTOMERS = ["acme", "globex", "initech", "*odd*"]
TASKS = ["t1", "t2", "t3", "ünï/…"]
KEYS = [None, None, None, "k1", "k2", "k3"]
OBJECTS_SENT = [None, '{"a":1,"b":[2.50]}', '{ "b": [2.50], "a": 1 }', '{"a":1,"b":[2.5]}', '{"é":"\\u00e9"}']
WAITS = [0, 0, 0, 1, 500, TTL - 1, TTL, WINDOW - 1, WINDOW]
LONG = [OBJECTS - 1, OBJECTS]

customers = st.sampled_from(CUSTOMERS)
keys = st.sampled_from(KEYS)
sent = st.sampled_from(OBJECTS_SENT)
prices = st.sampled_from([Decimal(0), Decimal(4900), Decimal("0.000000000001"), Decimal(10**9)]) | st.decimals(
    0, 1000, places=12
)
ways = st.sampled_from(["failure", "success"])
waits = st.sampled_from([-1, 0, 1, 1000, TTL, 20_000])
pending = st.fixed_dictionaries(
    {
        "key": keys,
        "tokens": st.integers(0, 5),
        "outcome": st.sampled_from(["pending", "pending", "success", None]),
        "after": st.none() | waits,
        "on_expiry": st.none() | ways,
    }
)


def text(amount: Decimal) -> str:
    """Plain decimal text, by another road than schemas.money."""
    written = f"{amount:f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written) or "0"


def raw(given: str | None) -> msgspec.Raw:
    """The sender's JSON text in a command."""
    return EMPTY if given is None else msgspec.Raw(given.encode())


def shown(result: msgspec.Raw) -> Json:
    """An object as it was answered: money exact, everything else by its digits."""
    found: Json = value(bytes(memoryview(result)).decode())
    for name, given in found.items():
        if name.endswith("_cents") and given is not None:
            found[name] = Decimal(given["digits"] if isinstance(given, dict) else given)
    return found


class OutcomeMachine(RuleBasedStateMachine):
    """Drives a log in memory and the model side by side."""

    @initialize()
    def begin(self) -> None:
        """A new log with one default price."""
        self.log = MemoryShard(PARTITIONS)
        self.log.now = START
        self.log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("0.5", "0.0003", "500"))]))
        self.model = Model(Decimal(500))
        self.before: list[tuple[str, tuple[Any, ...]]] = []
        self.rows: dict[int, tuple[entries.Entry, entries.EntryRecord]] = {}
        """What the ledger holds, by event id."""

    @rule(ms=st.sampled_from(WAITS))
    def time_passes(self, ms: int) -> None:
        """Windows close and expiries come."""
        self.log.now += ms

    @precondition(lambda self: any(outcome.verdict for outcome in self.model.outcomes.values()))
    @rule(ms=st.sampled_from(LONG))
    def weeks_pass(self, ms: int) -> None:
        """Until a closed outcome's object is the ledger's to tell."""
        self.log.now += ms

    @rule(bonus=prices)
    def price_changes(self, bonus: Decimal) -> None:
        """What is open keeps the price that held when it was opened."""
        self.log.append(CONFIG_KEY, SetPrice("chat", Rates("0.5", "0.0003", text(bonus))))
        self.model.bonus = bonus

    @rule(
        customer=customers,
        key=keys,
        task=st.sampled_from(TASKS),
        costs=st.tuples(prices, prices),
        after=waits,
        on_expiry=ways,
        criteria=sent,
        test=st.booleans(),
    )
    def register(self, customer: str, key: str | None, after: int, costs: tuple[Decimal, Decimal], **body: Any) -> None:
        """A task, perhaps one that there is already, perhaps one that is over already."""
        body |= {"success": costs[0], "failure": costs[1], "expires_at": self.log.now + after}
        self.send("register", customer, key, body)

    @rule(customer=customers, events=st.lists(pending, min_size=1, max_size=3))
    def meter(self, customer: str, events: list[Json]) -> None:
        """Meter events, most of them pending, with keys of the same namespace."""
        known = [{**one, "expires_at": None if one["after"] is None else self.log.now + one["after"]} for one in events]
        for one in known:
            one.pop("after")
            if one["outcome"] != "pending":
                one["expires_at"] = one["on_expiry"] = None
        self.send("meter", customer, known)

    @rule(data=st.data(), key=keys, success=st.booleans(), evidence=sent)
    def resolve(self, data: st.DataObject, key: str | None, success: bool, evidence: str | None) -> None:
        """A verdict on anything, by either address, by its owner or somebody else."""
        customer, target = self.target(data)
        self.send("resolve", customer, key, {"target": target, "success": success, "evidence": evidence})

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """A look at anything."""
        self.send("read", *self.target(data))

    @precondition(lambda self: self.model.outcomes)
    @rule(data=st.data(), times=st.integers(1, 2), when=st.sampled_from([None, -1, 0]))
    def expire(self, data: st.DataObject, times: int, when: int | None) -> None:
        """Timers: whenever, just before the time or at it, and twice."""
        outcome = self.model.outcomes[data.draw(st.sampled_from(sorted(self.model.outcomes)))]
        if when is not None:
            self.log.now = max(self.log.now, outcome.expires_at + when)
        for _ in range(times):
            self.send("expire", outcome.customer, outcome.id)

    @precondition(lambda self: self.rows)
    @rule(
        data=st.data(),
        amiss=st.sampled_from([None, None, None, "customer", "sum", "charge"]),
        kinds=st.sampled_from([("charge",), ("event",), ("waived",), ("event", "charge", "waived", "registered")]),
        reason=st.sampled_from(["mistake", "dispute"]),
    )
    def void(self, data: st.DataObject, amiss: str | None, kinds: tuple[str, ...], reason: str) -> None:
        """Any entry, as the ledger has it or with something amiss, perhaps again."""
        chosen = [id for id, (entry, _) in self.rows.items() if entry.kind in kinds] or list(self.rows)
        target = data.draw(st.sampled_from(chosen))
        entry, record = self.rows[target]
        customer = record.customer_id
        if amiss == "customer":  # of an event without an outcome the shard cannot tell whose it was
            amiss = None if entry.outcome_id is None else amiss
            customer = data.draw(customers.filter(lambda other: other != customer)) if amiss else customer
        if amiss == "charge" and entry.kind != "charge":
            amiss = None
        self.send("void", customer, target, amiss, reason)

    @precondition(lambda self: self.before)
    @rule(data=st.data(), wait=st.sampled_from([0, 0, 1, WINDOW - 1, WINDOW]))
    def again(self, data: st.DataObject, wait: int) -> None:
        """Something that was sent before, exactly, at once or later."""
        self.log.now += wait
        name, parts = data.draw(st.sampled_from(self.before))
        self.send(name, *parts)

    @precondition(lambda self: any(name in ("register", "resolve") for name, _ in self.before))
    @rule(data=st.data(), wait=st.sampled_from([0, 0, WINDOW - 1, WINDOW]), key=st.sampled_from(["k1", "k2"]))
    def twice(self, data: st.DataObject, wait: int, key: str) -> None:
        """A registration or verdict under a key, then again: worded differently, by its other
        address, or with one thing changed."""
        name, (customer, _, body) = data.draw(
            st.sampled_from([one for one in self.before if one[0] in ("register", "resolve")])
        )
        if name == "register":
            body = {**body, "task": data.draw(st.sampled_from(TASKS)), "expires_at": self.log.now + TTL}
            changes: Json = {"criteria": OBJECTS_SENT, "on_expiry": ["failure", "success"], "task": TASKS}
        else:
            mine = [one for one in self.model.outcomes.values() if one.customer == customer]
            names = [name for one in mine for name in (one.id, one.task) if name is not None and one.verdict is None]
            names = names or [body["target"]]
            body = {**body, "target": data.draw(st.sampled_from(names))}
            found = self.model.find(customer, body["target"])
            same = [found.id, found.task or found.id] if found else []
            changes = {"evidence": OBJECTS_SENT, "success": [True, False], "target": [*names, *same * 3]}
        self.send(name, customer, key, body)
        self.log.now += wait
        changed = data.draw(st.sampled_from(sorted(changes)))
        self.send(name, customer, key, {**body, changed: data.draw(st.sampled_from(changes[changed]))})

    @rule(shard=st.integers(0, PARTITIONS - 1))
    def restart(self, shard: int) -> None:
        """A new owner has nothing but the state and the entries that were committed."""
        rebuilt, records = MemoryStore(), []
        for record in self.log.entries[shard]:
            records += self.log.pricer.retained_from(record)
        rebuilt.write(dict(self.log.shards[shard].scan(b"")), records, Checkpoint("memory", 0, 0, self.log.now))
        self.log.shards[shard] = rebuilt

    def target(self, data: st.DataObject) -> tuple[str, str]:
        """A customer and an address, most often its own."""
        known = [(outcome.customer, outcome.id) for outcome in self.model.outcomes.values()]
        known += list(self.model.tasks)
        customer = data.draw(customers)
        foreign = (customer, data.draw(st.sampled_from([*(target for _, target in known), "oc_1", "oc_", "t9", "."])))
        own = data.draw(st.sampled_from(known)) if known else foreign
        return data.draw(st.sampled_from([own, own, own, foreign]))

    def send(self, name: str, customer: str, *parts: Any) -> None:
        """One command to both, and everything that came of it compared."""
        shard = partition_of(customer.encode(), PARTITIONS)
        event = ids.event_id(shard, len(self.log.raw[shard]))
        command = getattr(self, f"{name}_command")(customer, *parts)
        expected: Expected = getattr(self.model, name)(customer, *parts, event, self.log.now)
        decision = self.log.append(customer.encode(), command)
        self.before.append((name, (customer, *parts)))
        self.check_answer(decision, expected)
        self.check_entries(decision, expected, customer, event)

    def register_command(self, customer: str, key: str | None, body: Json) -> Command:
        """As the gateway writes it."""
        costs = {"price_on_success": text(body["success"]), "price_on_failure": text(body["failure"])}
        return Register(
            customer, 3, body["task"], "agent", expires_at=body["expires_at"], idempotency_window=WINDOW, **costs,
            on_expiry=body["on_expiry"], success_criteria=raw(body["criteria"]), idempotency_key=key, test=body["test"],
        )  # fmt: skip

    def meter_command(self, customer: str, events: list[Json]) -> Command:
        """As the gateway writes it."""
        sent = [
            MeterEvent(
                "agent", "chat", one["tokens"], outcome=one["outcome"], expires_at=one["expires_at"],
                on_expiry=one["on_expiry"], idempotency_key=one["key"],
            )
            for one in events
        ]  # fmt: skip
        return Meter(customer, 3, sent, WINDOW, TTL, len(sent) > 1)

    def resolve_command(self, customer: str, key: str | None, body: Json) -> Command:
        """As the gateway writes it."""
        return Resolve(customer, 4, body["target"], body["success"], WINDOW, raw(body["evidence"]), key)

    def read_command(self, customer: str, target: str) -> Command:
        """As the gateway writes it."""
        return ReadOutcome(customer, target)

    def expire_command(self, customer: str, outcome_id: str) -> Command:
        """As the expirer writes it."""
        return Expire(customer, outcome_id)

    def void_command(self, customer: str, target: int, amiss: str | None, reason: str) -> Command:
        """As the gateway writes it from the ledger's row, but for what is amiss."""
        entry, record = self.rows[target]
        assert entry.event is not None
        more = {"sum": (0, 1), "charge": (1, 1)}.get(amiss or "", (0, 0))
        bonus, total = Decimal(entry.bonus) + more[0], Decimal(entry.total) + more[1]
        return Void(
            customer, target, msgspec.structs.replace(entry.event, event_time=record.recorded_at), entry.base,
            entry.token, text(bonus), text(total), reason, record.prices[entry.price] if entry.price >= 0 else None,
            entry.outcome_id, entry.kind in ("charge", "waived"), record.test,
        )  # fmt: skip

    def check_answer(self, decision: Decision, expected: Expected) -> None:
        """The same status, object and replay, or the same refusal with the same standing."""
        reply = decision.reply
        if expected.status == 0:
            assert reply is None
        elif expected.status >= 400:
            assert isinstance(reply, RefusedReply)
            assert (reply.status, reply.code) == (expected.status, expected.code)
            assert (shown(reply.outcome) if reply.outcome else None) == expected.body
        elif isinstance(reply, OutcomeReply):
            assert (reply.status, reply.replayed, reply.elsewhere) == (
                expected.status, expected.replayed, expected.elsewhere,
            )  # fmt: skip
            assert shown(reply.result) == expected.body
        else:
            assert isinstance(reply, ChargedReply | BatchChargedReply)
            assert isinstance(reply, BatchChargedReply) or reply.replayed == expected.replayed

    def check_entries(self, decision: Decision, expected: Expected, customer: str, event: int) -> None:
        """Exactly the entries of the model; every one that opens or ends an outcome shows it."""
        record = entries.decode(decision.entries) if decision.entries is not None else None
        written = [] if record is None else record.entries
        found = [(entry.kind, entry.outcome_id or "", text(Decimal(entry.total)), entry.verdict) for entry in written]
        assert found == [(kind, id, text(total), verdict) for kind, id, total, verdict in expected.entries]
        if record is None:
            return
        assert (record.customer_id, record.recorded_at) == (customer, self.log.now)
        for entry in written:
            assert Decimal(entry.base) + Decimal(entry.token) + Decimal(entry.bonus) == Decimal(entry.total)
            if entry.kind in ("event", "registered", "charge", "waived"):
                self.rows[event + entry.index] = (entry, record)
            if entry.type == "resolve" and entry.outcome_id is not None:
                assert record.test == self.model.outcomes[entry.outcome_id].test
            if entry.kind in ("registered", "charge", "waived"):
                outcome = self.model.outcomes[entry.outcome_id or ""]
                assert shown(entry.detail) == (outcome.first or outcome.shown())
                assert record.test == outcome.test
                assert entry.index == 0

    @invariant()
    def the_money_is_the_models(self) -> None:
        """A customer's entries sum up to what the model charged, to the last decimal, and every
        outcome was ended once at most."""
        sums: dict[str, Decimal] = {}
        ended = []
        for records in self.log.entries:
            for one in records:
                for entry in (record := entries.decode(one.value)).entries:
                    sums[record.customer_id] = sums.get(record.customer_id, Decimal(0)) + Decimal(entry.total)
                    if entry.verdict is not None:
                        ended.append(entry.outcome_id)
        assert {name: cents for name, cents in sums.items() if cents} == {
            name: cents for name, cents in self.model.charged.items() if cents
        }
        assert sorted(ended, key=str) == sorted(one.id for one in self.model.outcomes.values() if one.verdict)

    def teardown(self) -> None:
        """A replay of the raw log gives the same bytes, and its entries what was remembered."""
        again = MemoryShard(PARTITIONS)
        retained: list[list[RetainedRecord]] = [[] for _ in again.shards]
        for shard, log in enumerate(self.log.raw):
            for record in log:
                retained[shard] += again.decide(record).retained
        assert again.entries == self.log.entries
        for before, after, records, live in zip(self.log.shards, again.shards, self.log.entries, retained, strict=True):
            assert list(after.scan(b"")) == list(before.scan(b""))
            assert [one for record in records for one in again.pricer.retained_from(record)] == live


OutcomeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOutcomeMachine = OutcomeMachine.TestCase
TestOutcomeMachine.__doc__ = "Random interleavings end each outcome as the model does, and charge what it charges."
