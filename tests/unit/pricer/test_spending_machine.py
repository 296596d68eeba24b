"""Budgets, prepaid credit and reservations under random interleavings, against a model that only keeps the history.

The model counts nothing: what is spent and what is left it sums, each time, over the entries that were not voided. It
computes in Decimal, finds periods with datetime, and shares no code with the pricer.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pricer.memory import MemoryShard
from schemas import entries, ids
from schemas.commands import (
    CreateBudget,
    DeleteBudget,
    EventLabels,
    ExpireGrant,
    ExpireReservation,
    GrantCredit,
    Meter,
    MeterEvent,
    Rates,
    ReadBalance,
    ReadBudgets,
    ReadReservations,
    ReleaseReservation,
    Reserve,
    Resolve,
    SetPrice,
    Void,
)
from schemas.entries import Entry, EntryRecord
from schemas.replies import BatchChargedReply, ChargedReply, OutcomeReply, RefusedReply
from schemas.topics import CONFIG_KEY
from streams.types import Decision

CUSTOMER = "acme"
BEGIN = 1_777_204_800_000
"""2026-04-26T12:00:00Z."""
HOUR, DAY = 3_600_000, 86_400_000
COSTS = {"chat": Decimal("0.5"), "tool": Decimal("0.125"), "deep": Decimal("7.000000000001"), "free": Decimal(0)}
BONUS = Decimal(3)
"""What a pending event costs when it succeeds."""
LIMITS = ["0", "0.125", "1", "2.5", "7.000000000001", "40"]
NEVER = 10**15
scopes = st.sampled_from(
    [("agent", "a1"), ("agent", "a2"), ("action", "chat"), ("model", "m"), ("key", "1"), ("key", "2"), ("all", "")]
)
events = st.tuples(st.sampled_from(["a1", "a2"]), st.sampled_from(list(COSTS)), st.sampled_from([None, "m"]))
modes = st.sampled_from([False, False, False, True])


class Happened(NamedTuple):
    """One charged entry. ``draws``: by grant."""

    id: int
    at: int
    test: bool
    labels: dict[str, str]
    total: Decimal
    draws: dict[int, Decimal] | None
    entry: Entry
    record: EntryRecord


class Reserved(NamedTuple):
    """One reservation. ``credit``: what credit holds of it."""

    id: int
    test: bool
    labels: dict[str, str]
    amount: Decimal
    credit: Decimal
    expires: int
    status: str = "open"

    @property
    def name(self) -> str:
        return f"rs_{self.id}"


class History:
    """Everything that was set, charged and reserved."""

    def __init__(self) -> None:
        self.budgets: dict[int, CreateBudget] = {}
        self.grants: dict[int, GrantCredit] = {}
        self.charged: dict[int, Happened] = {}
        self.voided: set[int] = set()
        self.reserved: dict[int, Reserved] = {}

    def open(self, test: bool) -> list[Reserved]:
        return [one for one in self.reserved.values() if one.test == test and one.status == "open"]

    def held(self, id: int) -> Decimal:
        """What the open reservations hold of a budget."""
        budget = self.budgets[id]
        held = [one.amount for one in self.open(budget.test) if one.id > id and counts(budget, one.labels)]
        return sum(held, Decimal(0)) if budget.hard else Decimal(0)

    def credit(self, test: bool, now: int, more: list[Happened]) -> Decimal:
        """What can be drawn and is not held."""
        left = sum((left for _, left in self.drawable(test, now, more)), Decimal(0))
        return max(left - sum((one.credit for one in self.open(test)), Decimal(0)), Decimal(0))

    def end(self, id: int, status: str) -> None:
        self.reserved[id] = self.reserved[id]._replace(status=status)

    def standing(self, test: bool) -> list[Happened]:
        return [one for one in self.charged.values() if one.test == test and one.id not in self.voided]

    def spent(self, id: int, now: int, more: list[Happened]) -> Decimal:
        """What a budget has spent in its period, with what the command has charged so far."""
        budget = self.budgets[id]
        counted = [one for one in [*self.standing(budget.test), *more] if one.id > id and counts(budget, one.labels)]
        return sum((one.total for one in counted if same_period(budget.period, one.at, now)), Decimal(0))

    def left(self, id: int, more: list[Happened]) -> Decimal:
        grant = self.grants[id]
        drawn = [(one.draws or {}).get(id, Decimal(0)) for one in [*self.standing(grant.test), *more]]
        return Decimal(grant.amount) - sum(drawn, Decimal(0))

    def drawable(self, test: bool, now: int, more: list[Happened]) -> list[tuple[int, Decimal]]:
        """The grants with credit left, in the order in which they are drawn."""
        found = [
            (id, self.left(id, more))
            for id, grant in self.grants.items()
            if grant.test == test and (grant.expires_at or NEVER) > now
        ]
        order = {id: ((grant.expires_at or NEVER), grant.priority, id) for id, grant in self.grants.items()}
        return sorted(((id, left) for id, left in found if left), key=lambda pair: order[pair[0]])

    def draws(self, test: bool, now: int, total: Decimal, more: list[Happened]) -> dict[int, Decimal] | None:
        """What a total takes out of each grant; None if there never was one."""
        if not any(grant.test == test for grant in self.grants.values()):
            return None
        taken: dict[int, Decimal] = {}
        total = min(total, self.credit(test, now, more))
        for id, left in self.drawable(test, now, more):
            if part := min(left, total - sum(taken.values(), Decimal(0))):
                taken[id] = part
        return taken

    def refuses(self, one: Happened, covers: bool, more: list[Happened]) -> str | None:
        """The code with which an event is refused, or None."""
        if not one.total:
            return None
        for id, budget in self.budgets.items():
            mine = budget.test == one.test and budget.hard and counts(budget, one.labels)
            if mine and self.spent(id, one.at, more) + self.held(id) + one.total > Decimal(budget.limit):
                return "budget_exceeded"
        credit = self.credit(one.test, one.at, more)
        return "insufficient_credit" if covers and credit < one.total else None


def counts(budget: CreateBudget, labels: dict[str, str]) -> bool:
    return budget.scope == "all" or labels[budget.scope] == budget.value


def same_period(period: str, at: int, now: int) -> bool:
    form = {"day": "%Y-%m-%d", "month": "%Y-%m", "total": ""}[period]
    return len({datetime.fromtimestamp(one / 1000, UTC).strftime(form) for one in (at, now)}) == 1


class SpendingMachine(RuleBasedStateMachine):
    """Drives the pricer and the history side by side."""

    @initialize()
    def begin(self) -> None:
        self.log = MemoryShard(1)
        self.log.now = BEGIN
        self.history = History()
        self.keys: dict[tuple[bool, str], Decimal] = {}
        self.pending: list[tuple[str, bool, dict[str, str]]] = []
        self.ended: set[int] = set()
        """Grants whose expiry is recorded."""
        self.low: dict[bool, Decimal | None] = {False: None, True: None}
        self.noticed: dict[bool, list[str]] = {False: [], True: []}
        """Types of the credit notices of each mode since its latest grant."""
        for action, cents in COSTS.items():
            self.log.append(CONFIG_KEY, SetPrice(action, Rates(f"{cents:f}", "0", f"{BONUS:f}")))

    def send(self, command: Any) -> tuple[Decision, int]:
        """Append a command of the customer; its decision and event id."""
        decision = self.log.append(CUSTOMER.encode(), command)
        return decision, ids.event_id(0, self.log.raw[0][-1].offset)

    @rule(hours=st.sampled_from([1, 11, 24, 24 * 9]))
    def time_passes(self, hours: int) -> None:
        self.log.now += hours * HOUR

    @rule(
        scope=scopes,
        period=st.sampled_from(["day", "month", "total"]),
        limit=st.sampled_from(LIMITS),
        hard=st.booleans(),
        test=modes,
    )
    def create_budget(self, scope: Any, period: Any, limit: str, hard: bool, test: bool) -> None:
        command = CreateBudget(CUSTOMER, scope[0], period, limit, hard, scope[1], test)
        decision, id = self.send(command)
        if isinstance(decision.reply, RefusedReply):  # ten of one scope and value
            assert decision.reply.code == "too_many"
            return
        self.history.budgets[id] = command

    @precondition(lambda self: self.history.budgets)
    @rule(pick=st.integers(0, 20))
    def delete_budget(self, pick: int) -> None:
        id = list(self.history.budgets)[pick % len(self.history.budgets)]
        self.send(DeleteBudget(CUSTOMER, id))
        del self.history.budgets[id]

    @rule(
        amount=st.sampled_from(["0.3", "1", "7.5", "100"]),
        days=st.sampled_from([None, None, 1, 12]),
        priority=st.sampled_from([50, 50, 1]),
        test=modes,
        key=st.sampled_from([None, None, "g"]),
        low=st.sampled_from([None, 20, 50, 100]),
    )
    def grant(self, amount: str, days: int | None, priority: int, test: bool, key: str | None, low: int | None) -> None:
        expires = None if days is None else self.log.now + days * DAY
        if key is not None:  # always the same request, which grants once
            amount, expires, priority = "2", None, 50
        command = GrantCredit(CUSTOMER, amount, "why", expires, priority, test, key, low_percent=low)
        decision, id = self.send(command)
        assert isinstance(decision.reply, OutcomeReply)
        if not decision.reply.replayed:
            self.history.grants[id] = command
            balance = sum((left for _, left in self.history.drawable(test, self.log.now, [])), Decimal(0))
            self.low[test] = None if low is None else balance * low / 100
            self.noticed[test] = []
        assert decision.reply.replayed == (decision.entries is None)

    @rule(
        bodies=st.lists(events, min_size=1, max_size=4),
        key=st.sampled_from([1, 2]),
        test=modes,
        covers=st.sampled_from([False, False, True]),
        named=st.booleans(),
        settles=st.lists(st.none() | st.integers(0, 8), min_size=4, max_size=4),
    )
    def meter(
        self, bodies: list[Any], key: int, test: bool, covers: bool, named: bool, settles: list[int | None]
    ) -> None:
        """One event or a batch. A named event has a key that says what it is, so that it is a repeat the next time."""
        made = [one.name for one in self.history.reserved.values()]
        of = [None if pick is None else [*made, "rs_7"][pick % (len(made) + 1)] for pick in settles]
        names = [f"{body}{place}{of[place]}" if named else None for place, body in enumerate(bodies)]
        sent = [
            MeterEvent(agent, action, model=model, idempotency_key=name, reservation_id=reservation)
            for (agent, action, model), name, reservation in zip(bodies, names, of[: len(bodies)], strict=True)
        ]
        self.decided(sent, key, test, covers)

    def decided(self, sent: list[MeterEvent], key: int, test: bool, covers: bool) -> None:
        history = self.history
        command = Meter(CUSTOMER, key, sent, 10**12, 10**12, len(sent) > 1, test, "test" if test else "live")
        if covers:
            command = msgspec.structs.replace(command, on_empty="refuse")
        decision, first = self.send(command)
        written = None if decision.entries is None else entries.decode(decision.entries)
        new: list[Happened] = []
        refusals: list[str] = []
        totals: list[Decimal] = []
        settled: dict[int, int] = {}
        before = dict(history.reserved)
        for index, event in enumerate(sent):
            known = self.keys.get((test, event.idempotency_key or ""))
            if known is not None:
                totals.append(known)
                continue
            labels = {"agent": event.agent_id, "action": event.action, "model": event.model or "", "key": str(key)}
            total = COSTS[event.action]
            one = Happened(
                first + index, self.log.now, test, labels, total, None, Entry("event"), EntryRecord("", 0, 0, [])
            )
            reservation = None
            if event.reservation_id is not None:
                reservation = history.reserved.get(int(event.reservation_id[3:]))
                if reservation is None or reservation.test != test:
                    refusals.append("not_found")
                    continue
                if reservation.status != "open" or self.log.now >= reservation.expires:
                    refusals.append("reservation_closed")
                    continue
                history.end(reservation.id, "settled")
            refused = history.refuses(one, covers, new)
            if refused is not None:
                refusals.append(refused)
                if reservation is not None:
                    history.end(reservation.id, "open")
                continue
            if reservation is not None:
                settled[one.id] = reservation.id
            new.append(one._replace(draws=history.draws(test, one.at, total, new)))
            totals.append(total)
        reply = decision.reply
        if refusals:
            history.reserved = before
            status = {"not_found": 404, "reservation_closed": 409}.get(refusals[0], 402)
            assert isinstance(reply, RefusedReply) and (reply.status, reply.code) == (status, refusals[0])
            assert written is not None and {entry.kind for entry in written.entries} == {"rejected"}
            return
        assert isinstance(reply, ChargedReply | BatchChargedReply)
        shown = reply.totals if isinstance(reply, BatchChargedReply) else [reply.receipt.total]
        assert [Decimal(text) for text in shown] == totals
        made = (
            {}
            if written is None
            else {first + entry.index: entry for entry in written.entries if entry.kind == "event"}
        )
        assert list(made) == [one.id for one in new]
        for one in new:
            assert written is not None
            self.recorded(one, made[one.id], written)
        if written is not None:
            self.credit_is_noticed(test, any(one.draws for one in new), written)
            detail = bytes(made[one.id].detail)
            assert (one.id in settled) == bool(detail)
            if detail:
                shown = json.loads(detail, parse_float=Decimal)
                assert (shown["reservation_id"], shown["event_id"]) == (f"rs_{settled[one.id]}", one.id)
                assert (shown["status"], Decimal(shown["charged_cents"])) == ("settled", one.total)

    @rule(
        amount=st.sampled_from(["0", "0.125", "1", "7.000000000001", None]),
        event=events,
        labelled=st.booleans(),
        hours=st.sampled_from([1, 20]),
        test=modes,
        covers=st.booleans(),
        named=st.booleans(),
    )
    def reserve(
        self, amount: str | None, event: Any, labelled: bool, hours: int, test: bool, covers: bool, named: bool
    ) -> None:
        """Of an amount, or as much as an event would cost."""
        agent, action, model = event
        labels = {"agent": agent, "action": action, "model": model or "", "key": "1"}
        if amount is not None and not labelled:
            labels = {"agent": "", "action": "", "model": "", "key": "1"}
        name = f"{amount}{event}{labelled}{hours}" if named else None
        command = Reserve(
            CUSTOMER,
            1,
            hours * HOUR,
            10**12,
            amount=amount,
            event=EventLabels(agent, action, model) if amount is not None and labelled else None,
            estimate=MeterEvent(agent, action, model=model) if amount is None else None,
            idempotency_key=name,
            test=test,
            mode="test" if test else "live",
            on_empty="refuse" if covers else "charge",
        )
        history, now = self.history, self.log.now
        decision, id = self.send(command)
        reply = decision.reply
        if (test, f"reserve {name}") in self.keys:
            assert isinstance(reply, OutcomeReply) and reply.replayed and decision.entries is None
            return
        cents = COSTS[action] if amount is None else Decimal(amount)
        asked = Happened(id, now, test, labels, cents, None, Entry("event"), EntryRecord("", 0, 0, []))
        refused = history.refuses(asked, covers, [])
        if refused is not None:
            assert isinstance(reply, RefusedReply) and (reply.status, reply.code) == (402, refused)
            return
        assert isinstance(reply, OutcomeReply) and reply.status == 201 and not reply.replayed
        shown = json.loads(bytes(reply.result), parse_float=Decimal)
        held = min(cents, history.credit(test, now, []))
        assert (shown["reservation_id"], shown["status"]) == (f"rs_{id}", "open")
        assert (Decimal(shown["amount_cents"]), Decimal(shown["credit_cents"])) == (cents, held)
        history.reserved[id] = Reserved(id, test, labels, cents, held, now + hours * HOUR)
        if name is not None:
            self.keys[test, f"reserve {name}"] = cents

    def credit_is_noticed(self, test: bool, drew: bool, written: EntryRecord) -> None:
        """Each of low and exhausted at most once after a grant, when a command has drawn as far."""
        told = [entry.type for entry in written.entries if (entry.type or "").startswith("credit.")]
        low, noticed = self.low[test], self.noticed[test]
        left = sum((left for _, left in self.history.drawable(test, self.log.now, [])), Decimal(0))
        due = ""
        if drew and low is not None and "credit.exhausted" not in noticed:
            due = "credit.exhausted" if not left else "credit.low" if left <= low and not noticed else ""
        assert told == ([due] if due else [])
        noticed += told

    @precondition(lambda self: self.history.reserved)
    @rule(pick=st.integers(0, 20), test=modes)
    def release(self, pick: int, test: bool) -> None:
        one = list(self.history.reserved.values())[pick % len(self.history.reserved)]
        decision, _ = self.send(ReleaseReservation(CUSTOMER, 1, one.name, "test" if test else "live"))
        reply = decision.reply
        if test != one.test:
            assert isinstance(reply, RefusedReply) and reply.status == 404
        elif one.status == "released":
            assert isinstance(reply, OutcomeReply) and decision.entries is None
        elif one.status != "open" or self.log.now >= one.expires:
            assert isinstance(reply, RefusedReply) and (reply.status, reply.code) == (409, "reservation_closed")
        else:
            assert isinstance(reply, OutcomeReply)
            self.history.end(one.id, "released")

    @precondition(lambda self: self.history.grants)
    @rule(pick=st.integers(0, 20))
    def remind_of_a_grant(self, pick: int) -> None:
        """Its expiry is recorded once, with what was left of it."""
        id = list(self.history.grants)[pick % len(self.history.grants)]
        grant, left = self.history.grants[id], self.history.left(id, [])
        decision, _ = self.send(ExpireGrant(CUSTOMER, id, grant.test))
        due = left and (grant.expires_at or NEVER) <= self.log.now and id not in self.ended
        assert decision.reply is None and (decision.entries is not None) == bool(due)
        if decision.entries is not None:
            self.ended.add(id)
            (entry,) = entries.decode(decision.entries).entries
            shown = json.loads(bytes(entry.detail), parse_float=Decimal)
            assert (entry.type, shown["id"], Decimal(shown["left_cents"])) == ("credit.expired", id, left)

    @precondition(lambda self: self.history.reserved)
    @rule(pick=st.integers(0, 20))
    def remind(self, pick: int) -> None:
        """As the expirer does, at any time and more than once."""
        one = list(self.history.reserved.values())[pick % len(self.history.reserved)]
        decision, _ = self.send(ExpireReservation(CUSTOMER, one.name, one.test))
        assert decision.reply is None
        due = one.status == "open" and self.log.now >= one.expires
        assert (decision.entries is not None) == due == bool(decision.changes)
        if due:
            self.history.end(one.id, "expired")

    def recorded(self, one: Happened, entry: Entry, written: EntryRecord) -> None:
        """Compare an entry with what the history says, and take it in."""
        history = self.history
        history.charged[one.id] = one._replace(entry=entry, record=written)
        exceeded = [
            id
            for id, budget in history.budgets.items()
            if budget.test == one.test and counts(budget, one.labels) and one.total
            if history.spent(id, one.at, []) > Decimal(budget.limit)
        ]
        assert list(entry.exceeded) == exceeded
        drawn = {draw.grant: Decimal(draw.cents) for draw in entry.draws}
        assert drawn == (one.draws or {})
        assert entry.credit is None if one.draws is None else Decimal(entry.credit or "x") == sum(drawn.values())
        event = entry.event
        if event is not None and event.idempotency_key is not None and entry.kind == "event":
            self.keys[one.test, event.idempotency_key] = one.total

    @rule(agent=st.sampled_from(["a1", "a2"]), test=modes)
    def open_outcome(self, agent: str, test: bool) -> None:
        before = set(self.history.charged)
        self.decided([MeterEvent(agent, "tool", outcome="pending", model="m")], 1, test, covers=False)
        for id in set(self.history.charged) - before:
            self.pending.append((ids.outcome_id(id), test, self.history.charged[id].labels))

    @precondition(lambda self: self.pending)
    @rule(pick=st.integers(0, 20))
    def resolve(self, pick: int) -> None:
        """The bonus is charged whatever the budgets say, under the key that reports the verdict."""
        target, test, labels = self.pending.pop(pick % len(self.pending))
        opener = int(target.removeprefix("oc_"))
        decision, id = self.send(Resolve(CUSTOMER, 2, target, True, 10**12, mode="test" if test else "live"))
        assert isinstance(decision.reply, OutcomeReply) and decision.entries is not None
        written = entries.decode(decision.entries)
        if opener in self.history.voided:
            assert written.entries[0].kind == "waived"
            return
        at = self.log.now
        draws = self.history.draws(test, at, BONUS, [])
        charge = Happened(id, at, test, {**labels, "key": "2"}, BONUS, draws, written.entries[0], written)
        self.recorded(charge, written.entries[0], written)
        self.credit_is_noticed(test, bool(draws), written)

    @precondition(lambda self: self.history.charged)
    @rule(pick=st.integers(0, 50))
    def void(self, pick: int) -> None:
        """As the gateway writes it, from the ledger's row."""
        one = list(self.history.charged.values())[pick % len(self.history.charged)]
        entry, event = one.entry, one.entry.event
        assert event is not None
        decision, _ = self.send(
            Void(
                customer_id=CUSTOMER,
                event_id=one.id,
                event=event,
                base=entry.base,
                token=entry.token,
                bonus=entry.bonus,
                total=entry.total,
                credit=entry.credit,
                draws=entry.draws,
                reason="why",
                outcome_id=entry.outcome_id,
                charge=entry.kind == "charge",
                test=one.test,
                recorded_at=one.at,
                key_id=one.record.api_key_id,
            )
        )
        reply = decision.reply
        assert isinstance(reply, OutcomeReply), reply
        assert reply.status == (200 if one.id in self.history.voided else 201)
        self.history.voided.add(one.id)

    @invariant()
    def what_is_spent_and_left_is_the_sum_of_the_history(self) -> None:
        for test in (False, True):
            decision, _ = self.send(ReadBudgets(CUSTOMER, "test" if test else "live", "1"))
            assert isinstance(decision.reply, OutcomeReply) and decision.entries is None and not decision.changes
            shown = json.loads(bytes(decision.reply.result), parse_float=Decimal)
            mine = [id for id, budget in self.history.budgets.items() if budget.test == test]
            spent = {id: self.history.spent(id, self.log.now, []) for id in mine}
            limits = {id: Decimal(self.history.budgets[id].limit) for id in mine}
            assert [one["id"] for one in shown["budgets"]] == mine
            for one in shown["budgets"]:
                id = one["id"]
                held = self.history.held(id)
                assert Decimal(one["spent_cents"]) == spent[id] >= 0
                assert Decimal(one.get("held_cents", 0)) == held >= 0
                assert Decimal(one["left_cents"]) == max(limits[id] - spent[id] - held, 0)
                assert one["fits"] == (spent[id] + held + 1 <= limits[id])
            decision, _ = self.send(ReadBalance(CUSTOMER, "test" if test else "live"))
            assert isinstance(decision.reply, OutcomeReply)
            shown = json.loads(bytes(decision.reply.result), parse_float=Decimal)
            drawable = self.history.drawable(test, self.log.now, [])
            assert [(one["id"], Decimal(one["left_cents"])) for one in shown["grants"]] == drawable
            assert Decimal(shown["balance_cents"]) == sum((left for _, left in drawable), Decimal(0))
            held = sum((one.credit for one in self.history.open(test)), Decimal(0))
            assert Decimal(shown.get("held_cents", 0)) == held

    @invariant()
    def reservations_are_shown_as_they_are(self) -> None:
        history, now = self.history, self.log.now
        for test in (False, True):
            mode: Any = "test" if test else "live"
            decision, _ = self.send(ReadReservations(CUSTOMER, mode))
            assert isinstance(decision.reply, OutcomeReply) and decision.entries is None
            listed = json.loads(bytes(decision.reply.result))["reservations"]
            assert [one["reservation_id"] for one in listed] == [
                one.name for one in history.open(test) if one.expires > now
            ]
            for one in history.reserved.values():
                reply = self.send(ReadReservations(CUSTOMER, mode, one.name))[0].reply
                if one.test != test:
                    assert isinstance(reply, RefusedReply) and reply.status == 404
                    continue
                assert isinstance(reply, OutcomeReply)
                late = one.status == "open" and now >= one.expires
                assert json.loads(bytes(reply.result))["status"] == ("expired" if late else one.status)

    @invariant()
    def no_event_exceeds_a_hard_budget(self) -> None:
        """Only charges of outcomes may."""
        for id, budget in self.history.budgets.items():
            charges = [one for one in self.history.standing(budget.test) if one.entry.kind == "charge" and one.id > id]
            if budget.hard and not charges:
                assert self.history.spent(id, self.log.now, []) <= Decimal(budget.limit)


TestSpending = SpendingMachine.TestCase
TestSpending.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
