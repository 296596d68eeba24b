"""The pricer under random interleavings, against a model that shares no code with it.

Price changes, singles, batches, retries with the same and other bodies, and time passing, for
several customers over several shards. The model computes in Decimal and keeps its own memory.
"""

from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pricer.memory import MemoryShard
from schemas import entries, ids
from schemas.commands import DeletePrice, Genesis, Meter, MeterEvent, Rates, SeedPrice, SetPrice
from schemas.replies import BatchChargedReply, ChargedReply, ConfiguredReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.types import Decision

PARTITIONS = 3
WINDOW = 100
CUSTOMERS = ["acme", "globex", "initech", "*odd*"]
ACTIONS = ["chat", "search", "free", "unpriced"]

rates = st.decimals(0, 1000, places=12) | st.sampled_from([Decimal(0), Decimal("0.25"), Decimal(10**9)])
tokens = st.integers(0, 10_000) | st.sampled_from([0, 10**12])
bodies = st.fixed_dictionaries(
    {
        "agent_id": st.sampled_from(["a1", "a2"]),
        "action": st.sampled_from(ACTIONS),
        "tokens": tokens,
        "outcome": st.sampled_from([None, "success", "failure", "pending"]),
        "idempotency_key": st.sampled_from([None, None, "k1", "k2", "k3", "k4"]),
        "expires_at": st.sampled_from([None, None, 50, 500, 10**6]),
    }
)
Body = dict[str, Any]


class Paid(NamedTuple):
    """What the model knows of a charged event."""

    event_id: int
    at: int
    body: Body
    total: Decimal


def text(amount: Decimal) -> str:
    """Plain decimal text, by another road than schemas.money."""
    written = f"{amount:f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written) or "0"


class Model:
    """Prices, charges and memory as the contract words them."""

    def __init__(self) -> None:
        self.prices: dict[tuple[str | None, str], tuple[int, Decimal, Decimal, Decimal]] = {}
        self.memory: dict[tuple[str, str], Paid] = {}
        self.charged: dict[str, Decimal] = dict.fromkeys(CUSTOMERS, Decimal(0))
        self.events: dict[int, Paid] = {}

    def price(self, customer: str, action: str) -> tuple[int, Decimal, Decimal, Decimal] | None:
        """The row that applies."""
        for row in ((customer, action), (customer, "*"), (None, action), (None, "*")):
            if row in self.prices:
                return self.prices[row]
        return None

    def total(self, customer: str, body: Body, now: int) -> Decimal | None:
        """What an event costs, or None when it is refused."""
        row = self.price(customer, body["action"])
        if row is None or (body["outcome"] == "pending" and (body["expires_at"] or now + 1) <= now):
            return None
        with localcontext(prec=60):
            total = row[1] + row[2] * body["tokens"] + (row[3] if body["outcome"] == "success" else 0)
        return total if total <= 10**12 else None

    def charge(self, customer: str, bodies: list[Body], first_id: int, now: int) -> list[tuple[bool, Paid]] | int:
        """(replayed, paid) for each event of a command, or the status of its refusal."""
        known = {key: paid for key, paid in self.memory.items() if now - paid.at < WINDOW}
        answers: list[tuple[bool, Paid]] = []
        status = 0
        for index, body in enumerate(bodies):
            name = (customer, body["idempotency_key"])
            if name[1] is not None and name in known:
                if known[name].body != body:
                    status = 409
                answers.append((True, known[name]))
                continue
            total = self.total(customer, body, now)
            if total is None:
                status = status or 400
                continue
            paid = Paid(first_id + index, now, body, total)
            answers.append((False, paid))
            if name[1] is not None:
                known[name] = paid
        if status:
            return status
        for replayed, paid in answers:
            if not replayed:
                self.charged[customer] += paid.total
                self.events[paid.event_id] = paid
                if paid.body["idempotency_key"] is not None:
                    self.memory[customer, paid.body["idempotency_key"]] = paid
        return answers


class PricerMachine(RuleBasedStateMachine):
    """Drives a log in memory and the model side by side."""

    @initialize()
    def begin(self) -> None:
        """A new log with one default price."""
        self.log = MemoryShard(PARTITIONS, retention=WINDOW)
        self.log.now = 10
        self.model = Model()
        self.sent: list[tuple[str, Body]] = []
        self.log.append(CONFIG_KEY, Genesis("e", [SeedPrice("chat", Rates("0.1", "0.0001", "0.05"))]))
        self.model.prices[None, "chat"] = (1, Decimal("0.1"), Decimal("0.0001"), Decimal("0.05"))

    @rule(
        customer=st.sampled_from([None, None, *CUSTOMERS]),
        action=st.sampled_from(["chat", "search", "free", "*"]),
        parts=st.tuples(rates, rates, rates),
    )
    def set_price(self, customer: str | None, action: str, parts: tuple[Decimal, Decimal, Decimal]) -> None:
        """From the answer on, every event is priced with it."""
        reply = self.log.append(CONFIG_KEY, SetPrice(action, Rates(*map(text, parts)), customer)).reply
        assert isinstance(reply, ConfiguredReply)
        self.model.prices[customer, action] = (msgspec.json.decode(reply.result)["id"], *parts)

    @precondition(lambda self: self.model.prices)
    @rule(data=st.data())
    def delete_price(self, data: st.DataObject) -> None:
        """The next row in the order applies."""
        row = data.draw(st.sampled_from(sorted(self.model.prices, key=str)))
        reply = self.log.append(CONFIG_KEY, DeletePrice(self.model.prices.pop(row)[0])).reply
        assert isinstance(reply, ConfiguredReply)

    @rule(ms=st.sampled_from([0, 1, 30, 99, 100, 101]))
    def time_passes(self, ms: int) -> None:
        """Windows close and expiries come."""
        self.log.now += ms

    @rule(customer=st.sampled_from(CUSTOMERS), body=bodies)
    def single(self, customer: str, body: Body) -> None:
        """One event."""
        self.send(customer, [body], batch=False)

    @rule(customer=st.sampled_from(CUSTOMERS), many=st.lists(bodies, min_size=1, max_size=6))
    def batch(self, customer: str, many: list[Body]) -> None:
        """Several events, all or nothing."""
        self.send(customer, many, batch=True)

    @rule(customer=st.sampled_from(CUSTOMERS), key=st.sampled_from(["k1", "k2", "k3", "k4"]), count=st.integers(1, 3))
    def batch_of_plain_events(self, customer: str, key: str, count: int) -> None:
        """A batch that is seldom refused, with a key and its repeats."""
        body = {"agent_id": "a1", "action": "chat", "tokens": 7, "outcome": None, "expires_at": None}
        self.send(
            customer, [{**body, "idempotency_key": key}] * count + [{**body, "idempotency_key": None}], batch=True
        )

    @precondition(lambda self: self.sent)
    @rule(
        data=st.data(),
        change=st.sampled_from([None, None, "tokens", "agent_id"]),
        wait=st.sampled_from([0, 0, WINDOW - 1, WINDOW]),
        batch=st.booleans(),
    )
    def retry(self, data: st.DataObject, change: str | None, wait: int, batch: bool) -> None:
        """Something that was sent before, unchanged or not, in a command of either kind, at
        once or about when its window closes."""
        self.log.now += wait
        customer, body = data.draw(st.sampled_from(self.sent))
        if change == "tokens":
            body = {**body, "tokens": body["tokens"] - 1 if body["tokens"] else 1}
        elif change == "agent_id":
            body = {**body, "agent_id": "a3"}
        self.send(customer, [body], batch)

    def send(self, customer: str, bodies: list[Body], batch: bool) -> None:
        """Meter, and compare the answer and the entries with the model."""
        shard = partition_of(customer.encode(), PARTITIONS)
        now = self.log.now
        first_id = ids.event_id(shard, len(self.log.raw[shard]))
        expected = self.model.charge(customer, bodies, first_id, now)
        command = Meter(customer, 1, [MeterEvent(**body) for body in bodies], WINDOW, 1000, batch)
        decision = self.log.append(customer.encode(), command)
        self.sent += [(customer, body) for body in bodies]
        self.check_answer(decision, expected, batch)
        self.check_entries(decision, expected, len(bodies), first_id)

    def check_answer(self, decision: Decision, expected: list[tuple[bool, Paid]] | int, batch: bool) -> None:
        """The same amounts, ids and replays, or the same refusal."""
        reply = decision.reply
        if isinstance(expected, int):
            assert isinstance(reply, RefusedReply)
            assert reply.status == expected
        elif batch:
            assert isinstance(reply, BatchChargedReply)
            assert reply.totals == [text(paid.total) for _, paid in expected]
            assert reply.replayed == {i: paid.event_id for i, (replayed, paid) in enumerate(expected) if replayed}
            assert reply.outcomes == [i for i, (_, paid) in enumerate(expected) if paid.body["outcome"] == "pending"]
        else:
            ((replayed, paid),) = expected
            assert isinstance(reply, ChargedReply)
            receipt = reply.receipt
            assert (reply.replayed, receipt.event_id, receipt.recorded_at) == (replayed, paid.event_id, paid.at)
            assert receipt.total == text(paid.total)
            assert sum(map(Decimal, (receipt.base, receipt.token, receipt.bonus))) == paid.total

    def check_entries(
        self, decision: Decision, expected: list[tuple[bool, Paid]] | int, count: int, first_id: int
    ) -> None:
        """Exactly what was charged now, or every event without money; replays leave nothing."""
        written = entries.decode(decision.entries).entries if decision.entries is not None else []
        if isinstance(expected, int):
            assert [(entry.kind, entry.total) for entry in written] == [("rejected", "0")] * count
            assert (decision.changes, decision.retained) == ((), ())
        else:
            fresh = [paid for replayed, paid in expected if not replayed]
            assert [(first_id + entry.index, entry.total) for entry in written] == [
                (paid.event_id, text(paid.total)) for paid in fresh
            ]

    @invariant()
    def nothing_is_doubled_or_lost(self) -> None:
        """The ledger holds each charged event once, and a customer's sum is the model's."""
        sums = dict.fromkeys(CUSTOMERS, Decimal(0))
        seen = []
        for partition, records in enumerate(self.log.entries):
            for record in records:
                for entry in (read := entries.decode(record.value)).entries:
                    if entry.kind == "event":
                        seen.append(ids.event_id(partition, read.raw_offset, entry.index))
                        sums[read.customer_id] += Decimal(entry.total)
        assert len(seen) == len(set(seen))
        assert set(seen) == set(self.model.events)
        assert sums == self.model.charged

    def teardown(self) -> None:
        """A replay of the raw log gives the same bytes, and so does a restored memory."""
        again = MemoryShard(PARTITIONS, retention=WINDOW)
        for log in self.log.raw:
            for record in log:
                again.decide(record)
        assert again.entries == self.log.entries
        assert again.view == self.log.view
        for before, after, records in zip(self.log.shards, again.shards, self.log.entries, strict=True):
            assert list(after.scan(b"")) == list(before.scan(b""))
            restored = {memory.key: memory for record in records for memory in again.pricer.retained_from(record)}
            for key, memory in restored.items():
                assert before.get_retained(key) == after.get_retained(key)
                assert before.get_retained(key) == memory or memory.at + WINDOW <= self.log.now


PricerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPricerMachine = PricerMachine.TestCase
TestPricerMachine.__doc__ = "Random interleavings charge what the model charges, and replay to the same bytes."
