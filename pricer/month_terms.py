"""Caps, minimums and volume steps: what a price row charges a customer in a month. Pure.

A cap is exact at each event: what an event costs beyond it is taken back by a line of the event itself. A minimum and
volume steps are known when the month is over; the first command after that settles it by one ``adjustment`` entry.
A month is a calendar month (UTC) or a billing period of the customer's anchor; accepted time decides which. A void
before the close takes its event out of the month; after it, the adjustment stays. See docs/decisions/0045 and 0053.
"""

from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pricer import anchor_commands, month_minimums
from pricer.credits import CreditTransaction
from pricer.prices import Amounts, ParsedPrice, plain_ref
from schemas import entries, ids, objects, open_months, spending
from schemas.billing_anchors import BillingPeriod
from schemas.commands import CloseMonth, MeterEvent, PriceRef, Void
from schemas.entries import Entry, EntryRecord
from schemas.funding import Draw, due
from schemas.money import format_cents, parse_cents
from schemas.open_months import (
    AdjustmentObject,
    MonthCharges,
    OpenMonth,
    day_start,
    end_of,
    month_key,
    slot_of,
)
from schemas.price_match import PriceSlot
from schemas.quantities import (
    CAP,
    EVENT,
    MICRO,
    MINIMUM,
    TOKEN_KINDS,
    TOKENS,
    Line,
    all_quantities,
    parse_quantity,
)
from schemas.tiers import Step, Tiers
from streams.types import Decision, InputRecord, StateView

Change = tuple[bytes, bytes | None]


class MonthTransaction:
    """The months of one customer and mode that a meter command charges in; ``period``: that of its accepted time."""

    def __init__(self, shard: StateView, customer_id: str, test: bool, period: BillingPeriod) -> None:
        self._shard, self._customer_id, self._test = shard, customer_id, test
        self._period = period
        self._months: dict[bytes, OpenMonth] = {}
        self._changed: set[bytes] = set()

    def capped(self, price: ParsedPrice, event: MeterEvent, cost: Amounts) -> Amounts:
        """Return what an event costs with the cap of its price: no more than the month has left."""
        if price.cap is None:
            return cost
        spent = sum(parse_cents(one.cost) for one in self._of(price)[1].charges)
        return _cut(price, event, cost, max(price.cap - spent, 0))

    def is_open(self, price: ParsedPrice) -> bool:
        """True if the month of a price's row is to be settled, so that it counts events of prices without terms too."""
        return bool(self._of(price)[1].charges)

    def add(self, price: ParsedPrice, event: MeterEvent, total: str) -> None:
        """Count an event that was charged ``total`` cents."""
        key, month = self._of(price)
        id = price.ref.id
        before = next((one for one in month.charges if one.price.id == id), None)
        charged = before or MonthCharges(plain_ref(price), 0, "0", {}, price.volume, price.minimum)
        used = _counted(charged, event, 1)
        cost = format_cents(parse_cents(charged.cost) + parse_cents(total))
        charged = replace(charged, events=charged.events + 1, cost=cost, used=used)
        others = tuple(one for one in month.charges if one.price.id != id)
        self._months[key] = replace(month, charges=(*others, charged))
        self._changed.add(key)

    def changes(self) -> list[tuple[bytes, bytes]]:
        """Return the state to write."""
        return [(key, open_months.encode(self._months[key])) for key in sorted(self._changed)]

    def _of(self, price: ParsedPrice) -> tuple[bytes, OpenMonth]:
        ref = price.ref
        slot = _slot(ref, self._customer_id)
        key = month_key(self._customer_id, self._test, self._period.name, slot)
        found = self._months.get(key)
        if found is None:
            stored = self._shard.get(key)
            found = self._months[key] = (
                open_months.decode(stored)
                if stored is not None
                else month_minimums.new_month(self._customer_id, self._test, slot, self._period)
            )
        return key, found


class Settlement(NamedTuple):
    """What the close of a month adds to what its events cost, in pico-cents, the price whose minimum holds, and the
    lines that say why."""

    price: PriceRef
    volume: int
    minimum: int
    token: int
    """The part of ``volume`` that is for tokens."""
    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        return self.volume + self.minimum


def close(command: CloseMonth, record: InputRecord, shard: StateView) -> Decision:
    """Settle a month that is over by one entry, if anything is to settle; once, since then it is no longer open. A
    notice that is early or repeated changes nothing."""
    slot = slot_of(command)
    key = month_key(command.customer_id, command.test, command.month, slot)
    stored = shard.get(key)
    if stored is None:
        return Decision()
    month = open_months.decode(stored)
    if record.at < end_of(month):
        return Decision()
    changes = ((key, None), *month_minimums.following(month, shard))
    settled = settlement(month)
    if settled is None or not settled.total:
        return Decision(changes=changes)
    credit, draws, drawn = _paid(command, record, shard, settled.total)
    entry = _entry(month, settled, record, credit, draws)
    written = EntryRecord(command.customer_id, record.offset, record.at, [entry], [settled.price], test=command.test)
    return Decision(entries=entries.encode(written), changes=(*changes, *drawn))


def take_out(command: Void, shard: StateView) -> tuple[Change, ...]:
    """Return the state of the month of a voided event, which counts in it no longer; nothing if the month is settled
    or its price has no terms for a month."""
    price = command.price
    if price is None or command.charge:
        return ()
    slot = _slot(price, command.customer_id)
    period = anchor_commands.period_of(shard, command.customer_id, command.recorded_at)
    key = month_key(command.customer_id, command.test, period.name, slot)
    stored = shard.get(key)
    if stored is None:
        return ()
    month = open_months.decode(stored)
    left = []
    for one in month.charges:
        if one.price.id == price.id:
            cost = format_cents(parse_cents(one.cost) - parse_cents(command.total))
            one = replace(one, events=one.events - 1, cost=cost, used=_counted(one, command.event, -1))
        if one.events:
            left.append(one)
    month = replace(month, charges=tuple(left))
    return ((key, open_months.encode(month) if left or month.spans else None),)


def settlement(month: OpenMonth) -> Settlement | None:
    """Return what a month's close adds; None if nothing is known to be owed. Every price record's quantities get the
    rate of the step that all of the month's volume reaches; the minimum is that of the last used price record, or of
    the row in a month without events."""
    holds = month.charges[-1] if month.charges else month_minimums.without_events(month)
    if holds is None or holds.price is None:
        return None
    reached: dict[str, int] = {}
    for one in month.charges:
        for name, text in one.used.items():
            reached[name] = reached.get(name, 0) + int(text)
    lines = []
    volume = token = 0
    for one in month.charges:
        for tiers in one.volume:
            micro = int(one.used.get(tiers.name, "0"))
            first, last = tiers.steps[0], _reached(tiers, reached.get(tiers.name, 0))
            pico = micro * (_pico(last) - _pico(first)) // MICRO  # exact: checked for every event and step
            if pico:
                lines.append(Line(tiers.name, "0", last.rate, last.per, format_cents(pico)))
                volume += pico
                token += pico if tiers.name in TOKEN_KINDS else 0
    minimum = 0
    wanted = holds.minimum
    if wanted is not None:
        cost = sum(parse_cents(one.cost) for one in month.charges)
        minimum = max(parse_cents(wanted) - cost - volume, 0)
    if minimum:
        text = format_cents(minimum)
        lines.append(Line(MINIMUM, "1", text, 1, text))
    return Settlement(holds.price, volume, minimum, token, tuple(lines))


def _entry(
    month: OpenMonth, settled: Settlement, record: InputRecord, credit: str | None, draws: tuple[Draw, ...]
) -> Entry:
    total = format_cents(settled.total)
    shown = AdjustmentObject(
        event_id=ids.event_id(record.partition, record.offset),
        customer_id=month.customer_id,
        month=month.month,
        action=month.action,
        model=month.model,
        provider=month.provider,
        price_id=settled.price.id,
        volume_cents=objects.number(format_cents(settled.volume)),
        minimum_cents=objects.number(format_cents(settled.minimum)),
        total_cents=objects.number(total),
        created_at=objects.iso(record.at),
        test=month.test,
    )
    if month.end is not None:
        shown = replace(shown, period_start=objects.iso(day_start(month.month)), period_end=objects.iso(month.end))
    if credit is not None:
        left = due(total, credit)
        shown = replace(shown, credit_cents=objects.number(credit), due_cents=objects.number(left))
    return Entry(
        kind="adjustment",
        event=MeterEvent(
            agent_id="",
            action=month.action,
            model=month.model,
            provider=month.provider,
            event_time=end_of(month) - 1,
        ),
        price=0,
        token=format_cents(settled.token),
        quantity=format_cents(settled.total - settled.token),
        total=total,
        reason=month.month,
        lines=settled.lines,
        detail=msgspec.Raw(open_months.encode(shown)),
        credit=credit,
        draws=draws,
    )


def _paid(
    command: CloseMonth, record: InputRecord, shard: StateView, total: int
) -> tuple[str | None, tuple[Draw, ...], tuple[Change, ...]]:
    """Return what prepaid credit pays of an adjustment, and the state of the grants. A negative one lowers what is due
    and gives nothing back, since it is of no single grant."""
    stored = shard.get(spending.index_key(command.customer_id, command.test))
    index = None if stored is None else spending.decode_index(stored)
    if index is None or not index.granted:
        return None, (), ()
    credit = CreditTransaction(shard, command.customer_id, command.test, record.at, parse_cents(index.held))
    draws = credit.draw(max(total, 0))
    return format_cents(sum(parse_cents(draw.cents) for draw in draws)), draws, tuple(credit.changes())


def _cut(price: ParsedPrice, event: MeterEvent, cost: Amounts, left: int) -> Amounts:
    """Return an event's cost with a line that takes back what it costs beyond ``left`` pico-cents."""
    base, token, bonus, quantity, total, lines = cost
    over = parse_cents(total) - left
    if over <= 0:
        return cost
    if not lines and token != "0":
        lines = (Line(TOKENS, str(event.tokens), price.token_text, 1, token),)
    beyond = Line(CAP, "1", "0", 1, format_cents(-over))
    return base, token, bonus, format_cents(parse_cents(quantity) - over), format_cents(left), (*lines, beyond)


def _counted(charged: MonthCharges, event: MeterEvent, sign: int) -> dict[str, str]:
    """Return the quantities of a price's volume with those of one event more or less."""
    if not charged.volume:
        return charged.used
    own = all_quantities(event)
    used = dict(charged.used)
    for tiers in charged.volume:
        micro = MICRO if tiers.name == EVENT else parse_quantity(own.get(tiers.name, "0"))
        used[tiers.name] = str(int(used.get(tiers.name, "0")) + sign * micro)
    return used


def _reached(tiers: Tiers, micro: int) -> Step:
    """Return the step that a count of the month has reached."""
    return next(step for step in tiers.steps if step.up_to is None or micro <= parse_quantity(step.up_to))


def _pico(step: Step) -> int:
    return parse_cents(step.rate) // step.per


def _slot(price: PriceRef, customer_id: str) -> PriceSlot:
    return PriceSlot(None if price.is_default else customer_id, price.action_type, price.model, price.provider)
