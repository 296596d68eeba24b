"""What a price that counts a customer's month would have charged for whole months. Pure; money in pico-cents.

What a month costs does not depend on the order of its events, so it follows from the month's sums.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from schemas.money import parse_cents
from schemas.months import month_of, month_range
from schemas.quantities import EVENT, INPUT, MICRO, OUTPUT, TOKEN_KINDS
from warehouse.replay import MonthUnitsRow
from web import formats
from web.views import replay_view
from web.views.overview_view import Figure
from web.views.price_rows import PriceRow, PriceStep, SteppedPrice
from web.views.replay_view import MOST_LINES, ReplayLine


class MonthLine(NamedTuple):
    """A month of all customers. ``is_open``: it is not over, so that its minimum is not owed yet."""

    month: str
    is_open: bool
    customers: int
    events: int
    actual: int
    replayed: int

    @property
    def difference(self) -> int:
        return self.replayed - self.actual


class MonthPreview(NamedTuple):
    """``refused``: events with a quantity that the price has no rate for, which cost nothing here."""

    figures: list[Figure]
    months: list[MonthLine]
    customers: list[ReplayLine]
    refused: int


class _Sums(NamedTuple):
    """What months of customers add up to; ``cost``: at the price."""

    months: int
    events: int
    actual: int
    cost: int

    def plus(self, other: "_Sums") -> "_Sums":
        return _Sums(*(one + more for one, more in zip(self, other, strict=True)))


NOTHING = _Sums(0, 0, 0, 0)


class _Used(NamedTuple):
    """What a customer used in a month: ``units`` in micro-units by name."""

    events: int
    wins: int
    tokens: int
    units: Mapping[str, int]


def assemble(price: PriceRow, rows: Sequence[MonthUnitsRow], current: str, names: Mapping[str, str]) -> MonthPreview:
    """Return the preview of a price. ``current``: the month that is not over; ``names``: of customers."""
    by_month: dict[tuple[str, str], list[MonthUnitsRow]] = defaultdict(list)
    for row in rows:
        by_month[row.month, row.customer].append(row)
    owing, last = price.slot.customer_id, month_of(month_range(current).start - 1)
    if owing is not None and price.minimum is not None and (last, owing) not in by_month:
        # the minimum of a customer's own row is owed without an event, too
        by_month[last, owing] = []
    customers: dict[str, _Sums] = defaultdict(lambda: NOTHING)
    months: dict[str, _Sums] = defaultdict(lambda: NOTHING)
    refused = 0
    for (month, customer), some in by_month.items():
        charged = [row for row in some if not _is_refused(price, row)]
        refused += sum(row.events for row in some) - sum(row.events for row in charged)
        events, actual = sum(row.events for row in some), sum(parse_cents(row.total) for row in some)
        one = _Sums(1, events, actual, month_cost(price, charged, is_open=month == current))
        customers[customer] = customers[customer].plus(one)
        months[month] = months[month].plus(one)
    lines = [MonthLine(month, month == current, *sums) for month, sums in sorted(months.items())]
    return MonthPreview(_figures(lines), lines, _compared(customers, names), refused)


def month_cost(price: PriceRow, rows: Sequence[MonthUnitsRow], *, is_open: bool) -> int:
    """Return what a customer's month costs at a price: its events, volume steps as far as they are reached, the cap,
    and, unless it is open, the minimum. Without events a row for everybody costs nothing."""
    used = _used(rows)
    if not used.events and price.slot.customer_id is None:
        return 0
    cost = price.base * used.events + price.bonus * used.wins
    own = {*(rate.name for rate in price.rates), *(one.name for one in price.tiers)}
    cost += price.token * (used.tokens - sum(used.units.get(kind, 0) for kind in TOKEN_KINDS if kind in own) // MICRO)
    cost += sum(_cost(used.units.get(rate.name, 0), rate.pico, rate.per) for rate in price.rates)
    units = {**used.units, EVENT: used.events * MICRO}
    cost += sum(_stepped(one, units.get(one.name, 0), price.is_volume) for one in price.tiers)
    if price.cap is not None:
        cost = min(cost, price.cap)
    return max(cost, price.minimum) if price.minimum is not None and not is_open else cost


def _stepped(one: SteppedPrice, micro: int, is_volume: bool) -> int:
    if is_volume:
        step = next(step for step in one.steps if micro <= _end(step, micro))
        return _cost(micro, step.pico, step.per)
    cost = begin = 0
    for step in one.steps:
        end = min(micro, _end(step, micro))
        cost += _cost(end - begin, step.pico, step.per)
        begin = end
    return cost


def _end(step: PriceStep, micro: int) -> int:
    """Return the micro-units up to which a step goes; the last one has no end."""
    return micro if step.up_to is None else _micro(step.up_to)


def _cost(micro: int, pico: int, per: int) -> int:
    return micro * pico // (MICRO * per)


def _used(rows: Sequence[MonthUnitsRow]) -> _Used:
    units: dict[str, int] = defaultdict(int)
    for row in rows:
        units[INPUT] += _micro(row.input_sum)
        units[OUTPUT] += _micro(row.output_sum)
        for name, count in zip(row.names, row.units, strict=True):
            units[name] += _micro(count)
    events, wins = sum(row.events for row in rows), sum(row.wins for row in rows)
    return _Used(events, wins, sum(int(row.token_sum) for row in rows), units)


def _is_refused(price: PriceRow, row: MonthUnitsRow) -> bool:
    known = {*(rate.name for rate in price.rates), *(one.name for one in price.tiers), *TOKEN_KINDS}
    return not price.ignore_unknown and not known.issuperset(row.names)


def _micro(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole + f"{part:0<6}")


def _compared(customers: Mapping[str, _Sums], names: Mapping[str, str]) -> list[ReplayLine]:
    """Return the customers, the largest difference first, and all others together."""
    ordered = sorted(customers.items(), key=lambda one: (-abs(one[1].cost - one[1].actual), one[0]))
    shown = [(names.get(id, id), sums) for id, sums in ordered[:MOST_LINES]]
    if len(ordered) > MOST_LINES:
        shown.append(("all others", reduce(_Sums.plus, (sums for _, sums in ordered[MOST_LINES:]))))
    return replay_view.compared([(name, sums.events, sums.actual, sums.cost) for name, sums in shown])


def _figures(lines: Sequence[MonthLine]) -> list[Figure]:
    actual, cost = sum(one.actual for one in lines), sum(one.replayed for one in lines)
    events = sum(one.events for one in lines)
    change, direction = formats.change(cost, actual)
    note = f"{formats.grouped(events)} event{'' if events == 1 else 's'}"
    return [
        Figure("Charged", formats.dollars(actual), formats.cents(actual), note=note),
        Figure("At this price", formats.dollars(cost), formats.cents(cost)),
        Figure("Difference", replay_view.signed(cost - actual), formats.cents(cost - actual), change, direction),
    ]
