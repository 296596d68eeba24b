"""What a new price row would have earned, from what past events counted. Pure, in integers of pico-cents.

A price is linear in what an event counts (pricer.prices): base and bonus per event and success, and a rate for each
quantity. So sums over events give the exact sum of their amounts. The new row is applied to the events for which it
would be the most specific row, in the order of schemas.price_match, among the rows that are in force now.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from schemas.money import parse_cents
from schemas.price_match import PriceSlot, candidates
from schemas.quantities import INPUT, MICRO, OUTPUT, TOKEN_KINDS, parse_quantity
from warehouse.account_rows import PricedRow
from web import formats
from web.views.overview_view import Figure
from web.views.price_rows import PriceRow


class PreviewLine(NamedTuple):
    """The events of one customer or action: what they were charged and would have been charged."""

    name: str
    events: int
    actual: int
    would_be: int


class PricePreview(NamedTuple):
    """Sums over the events that the new row applies to; and those that are left out, by why.

    ``open``: events whose outcome is not known yet; they count without a bonus. ``elsewhere``: events with a more
    specific row. ``refused``: events that the new row would refuse; ``refused_actual``: what they were charged.
    """

    events: int
    actual: int
    would_be: int
    customers: list[PreviewLine]
    open: int
    elsewhere: int
    refused: int
    refused_actual: int

    @property
    def figures(self) -> list[Figure]:
        """The sums, in exact dollars."""
        change, direction = formats.change(self.would_be, self.actual)
        return [
            Figure("Events of 30 days", formats.grouped(self.events)),
            _money("Were charged", self.actual),
            _money("Would have been charged", self.would_be),
            _money("Difference", self.would_be - self.actual)._replace(change=change, direction=direction),
        ]


def preview(new: PriceRow, in_force: Collection[PriceSlot], rows: Iterable[PricedRow]) -> PricePreview:
    """Return what ``new`` would have earned beside the other rows in force."""
    slots = {*in_force, new.slot}
    by_customer: dict[str, PreviewLine] = {}
    still_open = elsewhere = refused = refused_actual = 0
    for row in rows:
        if _applying(slots, row) != new.slot:
            elsewhere += row.events
            continue
        charged = parse_cents(row.charged)
        if row.refused:
            refused += row.events
            refused_actual += charged
            continue
        still_open += row.open
        before = by_customer.get(row.customer_id, PreviewLine(row.customer_id, 0, 0, 0))
        by_customer[row.customer_id] = PreviewLine(
            row.customer_id, before.events + row.events, before.actual + charged, before.would_be + amount(new, row)
        )
    lines = sorted(by_customer.values(), key=lambda line: (-abs(line.would_be - line.actual), line.name))
    return PricePreview(
        events=sum(line.events for line in lines),
        actual=sum(line.actual for line in lines),
        would_be=sum(line.would_be for line in lines),
        customers=lines,
        open=still_open,
        elsewhere=elsewhere,
        refused=refused,
        refused_actual=refused_actual,
    )


def _money(label: str, pico: int) -> Figure:
    return Figure(label, formats.dollars_in_full(pico), formats.cents(pico))


def amount(price: PriceRow, row: PricedRow) -> int:
    """Return what these events would cost at a price, in pico-cents."""
    units = unit_rates(price)
    counted = {INPUT: int(row.input_sum) * MICRO, OUTPUT: int(row.output_sum) * MICRO}
    counted |= {name: _micro(number) for name, number in row.quantity_sums.items()}
    total = price.base * row.events + price.bonus * row.successes
    rest = int(row.token_sum)
    for name, micro in counted.items():
        if name in units:
            # each event's part is whole: an event for which it is not is refused
            total += micro * units[name] // MICRO
            rest -= micro // MICRO if name in TOKEN_KINDS else 0
    return total + rest * price.token


def unit_rates(price: PriceRow) -> Mapping[str, int]:
    """Return the pico-cents for one unit of each quantity that has a rate."""
    return {one.name: one.pico // one.per for one in price.rates}


def _applying(slots: Collection[PriceSlot], row: PricedRow) -> PriceSlot | None:
    fitting = candidates(row.customer_id, row.action, row.model or None, row.provider or None)
    return next((slot for slot in fitting if slot in slots), None)


def _micro(number: str) -> int:
    """Return the micro-units of a sum of quantities, which may be larger than any one quantity."""
    whole, _, part = number.partition(".")
    return int(whole) * MICRO + (parse_quantity(f"0.{part}") if part else 0)
