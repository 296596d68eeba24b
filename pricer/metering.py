"""Meter commands: every event gets its price, or the whole command is refused.

Pure: the command, its accepted time and the shard's state decide everything. A batch is all or nothing; a refused one
leaves its events as ``rejected`` entries without money, and nothing of it is retained.
"""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pricer import anchor_commands, event_funding, idempotency, prices
from pricer.budgets import BUDGET_EXCEEDED, SpendRefusal
from pricer.credits import INSUFFICIENT
from pricer.holds import CLOSED, NOT_FOUND
from pricer.month_counts import MonthCounts
from pricer.month_terms import MonthTransaction
from schemas import entries, ids, state
from schemas.billing_anchors import BillingPeriod, period_at
from schemas.commands import Meter, MeterEvent, PriceRef
from schemas.entries import Entry, EntryRecord
from schemas.labels import labels_of
from schemas.limits import MAX_EVENTS
from schemas.raw_json import EMPTY
from schemas.replies import BatchChargedReply, ChargedReply, IndexedError, Receipt, RefusedReply, receipt_of
from schemas.unpriced import NO_PRICE, UnpricedEvent, unpriced_key
from streams.types import Decision, InputRecord, RetainedRecord, StateView

INVALID = "invalid_request"
CONFLICT = "idempotency_conflict"
STATUS = {INVALID: 400, CONFLICT: 409, BUDGET_EXCEEDED: 402, INSUFFICIENT: 402, NOT_FOUND: 404, CLOSED: 409}


class EventRefusal(NamedTuple):
    """The reason why one event cannot be charged; ``code`` is the one used over HTTP."""

    code: str
    error: str
    unpriced: bool = False
    """The action has no price."""


class PriceMatch(NamedTuple):
    """The price of one action, model and provider throughout a command."""

    price: prices.ParsedPrice
    price_index: int
    """Index in the entry record's ``prices``."""
    used: Mapping[str, int] = prices.NOTHING_USED
    """What the month has counted, for a price with steps."""


class SteppedMatch(NamedTuple):
    """A price with steps; the month's count tells the rates of each event."""

    price: prices.ParsedPrice


def apply(command: Meter, record: InputRecord, shard: StateView) -> Decision:
    """Charge every event of a meter command, or none. Raises ValueError for a command that no gateway writes (wrong
    number of events, an address beyond the last event id)."""
    count = len(command.events)
    if not 1 <= count <= (MAX_EVENTS if command.batch else 1):
        raise ValueError(f"a meter command with {count} events (batch: {command.batch})")
    ids.event_id(record.partition, record.offset, count - 1)
    charging = MeterTransaction(command, record, shard)
    for index, event in enumerate(command.events):
        charging.add(index, event)
    return charging.refused() if charging.refusals else charging.charged()


def cost_of(command: Meter, record: InputRecord, shard: StateView) -> tuple[str, PriceRef] | EventRefusal:
    """Return what the event of a command would cost now, in cents, whatever may be spent, and its price; or why it has
    none."""
    tried = MeterTransaction(command, record, shard, funded=False)
    tried.add(0, command.events[0])
    refusal = tried.refusals.get(0)
    return refusal if isinstance(refusal, EventRefusal) else (tried.totals[0], tried.prices[0])


def rejection(command: Meter, record: InputRecord, reasons: list[str]) -> bytes:
    """Return the entry record of a refused command: one entry for each event, no money."""
    rejected = [
        Entry("rejected", index, event, reason=reason)
        for index, (event, reason) in enumerate(zip(command.events, reasons, strict=True))
    ]
    return _encode(command, record, rejected, [])


class MeterTransaction:
    """One meter command being decided, with the results of its events so far. ``funded``: it may spend."""

    def __init__(self, command: Meter, record: InputRecord, shard: StateView, funded: bool = True) -> None:
        self.command = command
        self.record = record
        self.shard = shard
        self.first_id = ids.event_id(record.partition, record.offset)
        self.entries: list[Entry] = []
        self.prices: list[PriceRef] = []
        self.totals: list[str] = []
        self.replayed: dict[int, Receipt] = {}
        self.outcomes: list[int] = []
        self.voided: list[int] = []
        self.changes: list[tuple[bytes, bytes | None]] = []
        self.retained: list[RetainedRecord] = []
        self.refusals: dict[int, EventRefusal | SpendRefusal] = {}
        self.exceeded: dict[int, tuple[int, ...]] = {}
        self.credits: dict[int, str] = {}
        marks = shard.get(state.PRICE_SCOPED)
        self._marks = marks
        self._scoped = marks is not None and state.SCOPED in marks
        self._monthly = marks is not None and state.MONTHLY in marks
        self._anchored = marks is not None and state.ANCHORED in marks
        self._funding = event_funding.of_command(command, record, shard, marks) if funded else None
        self._matches: dict[str | tuple[str, str | None, str | None], PriceMatch | SteppedMatch | EventRefusal] = {}
        self._indexes: dict[int | tuple[int, str], int] = {}
        self._counts: MonthCounts | None = None
        self._months: MonthTransaction | None = None
        self._keys: dict[str, idempotency.IdempotencyRecord] = {}
        self._find_record = idempotency.KeyRecords(
            shard, command.customer_id, record.at, command.idempotency_window, command.mode
        ).find

    def add(self, index: int, event: MeterEvent) -> None:
        """Charge, replay or refuse the next event."""
        key = event.idempotency_key
        hashed = None
        if key is not None:
            hashed = idempotency.body_hash(event)
            earlier = self._keys.get(key) or self._find_record(key)
            if earlier is not None:
                self._repeat(index, key, earlier, hashed)
                return
        name = (event.action, event.model, event.provider) if self._scoped else event.action
        match = self._matches.get(name)
        if match is None:
            match = self._matches[name] = self._match(event)
        stepped: SteppedMatch | None = None
        if not isinstance(match, PriceMatch):
            if isinstance(match, SteppedMatch):
                stepped, match = match, self._at_count(match)
            elif match.unpriced and _waits_for_price(self.command, event):
                match = self._without_price()
            else:
                self.refusals[index] = match
                return
        expires_at = None
        if event.outcome == "pending":
            expires_at = event.expires_at
            if expires_at is None:
                expires_at = self.record.at + self.command.outcome_ttl
            elif expires_at <= self.record.at:
                self.refusals[index] = EventRefusal(INVALID, "expires_at must be in the future")
                return
        try:
            cost = prices.amounts(match.price, event, match.used)
        except prices.NotPriced as error:
            self.refusals[index] = EventRefusal(INVALID, str(error))
            return
        if match.price.monthly:
            cost = self._open_months.capped(match.price, event, cost)
        base, token, bonus, quantity, total, lines = cost
        outcome_id = None if expires_at is None else ids.outcome_id(self.first_id + index)
        entry = Entry(
            kind="event",
            index=index,
            event=event,
            price=match.price_index,
            base=base,
            token=token,
            bonus=bonus,
            total=total,
            outcome_id=outcome_id,
            expires_at=expires_at,
            body_hash=hashed,
            quantity=quantity,
            lines=lines,
        )
        if event.reservation_id is not None and self._funding is None:
            self._funding = event_funding.begun(self.command, self.record, self.shard)
        if self._funding is not None:
            paid = self._funding.pay(event, entry, self.first_id + index)
            if isinstance(paid, SpendRefusal):
                self.refusals[index] = paid
                return
            entry = paid
            self._show(index, entry.exceeded, entry.credit)
        self.entries.append(entry)
        self.totals.append(total)
        if stepped is not None:
            self._month_counts.add(stepped.price, event)
        if match.price.monthly or (self._monthly and self._open_months.is_open(match.price)):
            self._open_months.add(match.price, event, total)
        if expires_at is not None:
            self._open(index, event, match.price, expires_at)
        if match.price is _UNPRICED:
            self._keep(index, event)
        if key is not None and hashed is not None:
            self._retain(index, key, hashed, entry)

    def charged(self) -> Decision:
        """Return the decision when nothing was refused: all that the command writes, and its reply."""
        reply = self._answer()
        if self._funding is not None and self.entries:
            last = self.first_id + self.entries[-1].index
            self.entries += self._funding.notices(len(self.command.events), last)
            self.changes += self._funding.changes()
        written = _encode(self.command, self.record, self.entries, self.prices) if self.entries else None
        return Decision(
            entries=written,
            changes=self.all_changes(),
            retained=tuple(self.retained),
            reply=reply,
        )

    def refused(self) -> Decision:
        """Return the decision when any event was refused: all are, with rejected entries and the reasons.

        The code is the gravest: a conflict, then an invalid event, then what may not be spent.
        """
        first, refusal = next(iter(self.refusals.items()))
        codes = {one.code for one in self.refusals.values()}
        code = next((code for code in (CONFLICT, INVALID) if code in codes), refusal.code)
        budget, balance = EMPTY, None
        if isinstance(refusal, SpendRefusal) and code == refusal.code:
            budget, balance = refusal.budget, refusal.balance
        if self.command.batch:
            error = f"nothing was charged, {len(self.refusals)} of {len(self.command.events)} events were refused"
            other = f"nothing of the batch was charged, since event {first} was refused: {refusal.error}"
            errors = [IndexedError(index, refusal.error) for index, refusal in self.refusals.items()]
        else:
            error, other, errors = refusal.error, "", []
        count = len(self.command.events)
        reasons = [self.refusals[i].error if i in self.refusals else other for i in range(count)]
        return Decision(
            entries=rejection(self.command, self.record, reasons),
            reply=RefusedReply(STATUS[code], code, error, errors, budget=budget, balance=balance),
        )

    def _show(self, index: int, exceeded: tuple[int, ...], credit: str | None) -> None:
        """Add what a batch's reply shows of an event."""
        if exceeded:
            self.exceeded[index] = exceeded
        if credit is not None:
            self.credits[index] = credit

    def _repeat(self, index: int, key: str, earlier: idempotency.IdempotencyRecord, hashed: str) -> None:
        receipt = earlier.answer
        if earlier.body_hash != hashed or not isinstance(receipt, Receipt):
            self.refusals[index] = EventRefusal(CONFLICT, idempotency.conflict(key))
            return
        self.replayed[index] = receipt
        if self.shard.get(state.void_key(receipt.event_id)) is not None:
            self.voided.append(index)
        self.totals.append(receipt.total)
        if receipt.outcome_id is not None:
            self.outcomes.append(index)
        self._show(index, receipt.exceeded, receipt.credit)

    def _match(self, event: MeterEvent) -> PriceMatch | SteppedMatch | EventRefusal:
        """Return the price of an event's action, model and provider."""
        action = event.action
        labels = (event.model, event.provider) if self._scoped else (None, None)
        price = prices.in_force(self.shard, self.record.at, self.command.customer_id, action, *labels)
        if action == prices.CHARGE_ACTION:
            return EventRefusal(INVALID, f"action {action!r} is reserved")
        if price is None:
            return EventRefusal(INVALID, f"no price for action {action!r}", unpriced=True)
        if price.stepped:
            return SteppedMatch(price)
        index = self._indexes.setdefault(price.ref.id, len(self.prices))
        if index == len(self.prices):
            self.prices.append(price.ref)
        return PriceMatch(price, index)

    def _at_count(self, match: SteppedMatch) -> PriceMatch:
        """Return the price of the next event; each step of the count of events is a price of the entry record."""
        used = self._month_counts.used(match.price)
        price = prices.at_count(match.price, used)
        index = self._indexes.setdefault((price.ref.id, price.base_text), len(self.prices))
        if index == len(self.prices):
            self.prices.append(price.ref)
        return PriceMatch(price, index, used)

    def _without_price(self) -> PriceMatch:
        """Return the match of an event that is recorded at 0 since it has no price yet."""
        index = self._indexes.setdefault(NO_PRICE.id, len(self.prices))
        if index == len(self.prices):
            self.prices.append(NO_PRICE)
        return PriceMatch(_UNPRICED, index)

    def _keep(self, index: int, event: MeterEvent) -> None:
        """Keep an event until a price charges it."""
        command = self.command
        at = self.record.at if event.event_time is None else event.event_time
        kept = replace(event, event_time=at, idempotency_key=None, metadata=EMPTY)
        value = state.encode(UnpricedEvent(command.customer_id, command.api_key_id, kept, command.test))
        self.changes.append((unpriced_key(self.first_id + index), value))

    @property
    def _month_counts(self) -> MonthCounts:
        if self._counts is None:
            command = self.command
            self._counts = MonthCounts(self.shard, command.customer_id, command.test, self._period())
        return self._counts

    @property
    def _open_months(self) -> MonthTransaction:
        if self._months is None:
            command = self.command
            self._months = MonthTransaction(self.shard, command.customer_id, command.test, self._period())
        return self._months

    def _period(self) -> BillingPeriod:
        """Return the customer's billing period. Only a shard that has ever had an anchor looks for one."""
        at = self.record.at
        if not self._anchored:
            return period_at((), at)
        return anchor_commands.period_of(self.shard, self.command.customer_id, at)

    def all_changes(self) -> tuple[tuple[bytes, bytes | None], ...]:
        """Return the state to write, but for what the events spend."""
        counts = () if self._counts is None else self._counts.changes()
        months = [] if self._months is None else self._months.changes()
        if months and not self._monthly:
            months.append((state.PRICE_SCOPED, state.with_mark(self._marks, state.MONTHLY)))
        return (*self.changes, *counts, *months)

    def _open(self, index: int, event: MeterEvent, price: prices.ParsedPrice, expires_at: int) -> None:
        """Open the outcome of a pending event: on success it charges the action's current bonus."""
        command, event_id = self.command, self.first_id + index
        outcome = state.OpenOutcome(
            event_id=event_id,
            customer_id=command.customer_id,
            agent_id=event.agent_id,
            action=event.action,
            price_on_success=price.bonus_text,
            expires_at=expires_at,
            created_at=self.record.at,
            price=price.ref,
            on_expiry=event.on_expiry or "failure",
            api_key_id=command.api_key_id,
            test=command.test,
            import_id=command.import_id,
            **labels_of(event),
        )
        self.outcomes.append(index)
        self.changes.append((state.outcome_key(ids.outcome_id(event_id)), state.encode(outcome)))

    def _retain(self, index: int, key: str, hashed: str, entry: Entry) -> None:
        receipt = receipt_of(entry, self.prices[entry.price], self.first_id + index, self.record.at)
        self._keys[key] = idempotency.IdempotencyRecord(hashed, receipt)
        command = self.command
        self.retained.append(idempotency.receipt_record(command.customer_id, key, hashed, receipt, command.test))

    def _answer(self) -> ChargedReply | BatchChargedReply:
        if self.command.batch:
            replayed = {index: receipt.event_id for index, receipt in self.replayed.items()}
            return BatchChargedReply(
                self.record.at,
                self.totals,
                replayed,
                outcomes=self.outcomes,
                voided=self.voided,
                exceeded=self.exceeded,
                credits=self.credits,
            )
        if self.replayed:
            return ChargedReply(self.replayed[0], replayed=True, voided=bool(self.voided))
        entry = self.entries[0]
        return ChargedReply(receipt_of(entry, self.prices[entry.price], self.first_id, self.record.at))


_UNPRICED = prices.parsed_price(state.encode(state.InstalledPrice(NO_PRICE.id, "", NO_PRICE.rates, NO_PRICE.offset)))
"""The price, of nothing, at which an event without a price is recorded."""


def _waits_for_price(command: Meter, event: MeterEvent) -> bool:
    """True if an event without a price is recorded. What an outcome charges is agreed when it opens, and a reservation
    is settled by what the event costs, so neither can wait."""
    return command.unpriced == "accept" and event.outcome != "pending" and event.reservation_id is None


def _encode(command: Meter, record: InputRecord, written: list[Entry], refs: list[PriceRef]) -> bytes:
    return entries.encode(
        EntryRecord(
            customer_id=command.customer_id,
            raw_offset=record.offset,
            recorded_at=record.at,
            entries=written,
            prices=refs,
            api_key_id=command.api_key_id,
            test=command.test,
            import_id=command.import_id,
        )
    )
