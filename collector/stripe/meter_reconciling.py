"""Compares the usage of a month in the ledger with Stripe's meters, by customer and hour."""

from collections import defaultdict

from collector.book import Book
from collector.stripe.calls import Call, listed
from collector.stripe.meter_lines import event_name, find_hours, find_meters, lines_of, rules_of
from schemas.invoice_objects import StripeDifference
from schemas.meters import MeterRule, meter_rules
from schemas.months import month_range
from schemas.objects import iso
from warehouse.meter_totals import MeterReads, whole
from warehouse.time_range import LAST

Place = tuple[str, str, int]
"""Customer, or several that are compared together; event name of the meter; hour."""


async def compared_usage(book: Book, reads: MeterReads, call: Call, month: str) -> tuple[int, list[StripeDifference]]:
    """Return how many hours of customers and meters were compared, and every difference.

    Compared is what was brought there until now; what Stripe refused differs. Raises StripeAway, StripeRefuses or
    ReadsUnavailable.
    """
    ledger, rules = await _ledger(book, reads, month)
    start, end = month_range(month)
    ids = {str(one["event_name"]): str(one["id"]) async for one in listed(call, find_meters())}
    names = _names(book)
    theirs: dict[Place, int] = defaultdict(int)
    for rule in rules:
        for customer, holders in sorted(book.by_stripe_id.items()):
            if rule.event_name in ids:
                async for one in listed(call, find_hours(ids[rule.event_name], customer, start, end)):
                    if one["aggregated_value"]:
                        place = names[holders[0]], rule.event_name, one["start_time"] * 1000
                        theirs[place] += round(one["aggregated_value"])
    ours: dict[Place, int] = defaultdict(int)
    for (name, meter, hour), units in ledger.items():
        ours[names.get(name, name), meter, hour] += units
    places = sorted(ours.keys() | theirs.keys())
    return len(places), [
        StripeDifference(name, f"{meter} of {iso(hour)}", str(mine), str(other))
        for name, meter, hour in places
        if (mine := ours.get((name, meter, hour), 0)) != (other := theirs.get((name, meter, hour), 0))
    ]


def _names(book: Book) -> dict[str, str]:
    """Return what each customer is compared as: itself, or together with those that Stripe has had as one with it."""
    found: dict[str, str] = {}
    for name in book.stripe_customers:
        if name in found:
            continue
        together, left = {name}, [name]
        while left:
            for id in book.stripe_customers[left.pop()].ids:
                left += set(book.by_stripe_id[id]) - together
                together.update(book.by_stripe_id[id])
        found.update(dict.fromkeys(together, ", ".join(sorted(together))))
    return found


async def _ledger(book: Book, reads: MeterReads, month: str) -> tuple[dict[Place, int], list[MeterRule]]:
    """Return what Stripe is to have, and by which rules."""
    position = book.meter
    if position is None:
        return {}, []
    start, end = month_range(month)
    by_begin: dict[int, list[MeterRule]] = defaultdict(list)
    for text, begun in position.begun.items():
        by_begin[begun] += meter_rules(text)
    found: dict[Place, int] = defaultdict(int)
    for begun, rules in by_begin.items():
        if begun < position.since:
            for row in await reads.meter_totals(rules, begun, position.since, max(start, position.first), end):
                place = row.customer, rules[row.rule].event_name, row.hour
                found[place] += whole(row.after) - whole(row.before)
    if position.as_of:
        interval = await reads.meter_totals(rules_of(position), position.since, position.as_of, position.first, LAST)
        for line in lines_of(position, interval)[: position.done]:
            if start <= line.hour < end:
                found[line.customer_id, event_name(line), line.hour] += line.value
    return {place: units for place, units in found.items() if units}, [
        one for some in by_begin.values() for one in some
    ]
