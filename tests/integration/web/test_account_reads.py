"""The SQL of the pages about customers and prices on the real engine, against plain Python over the same rows."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from itertools import product

import pytest
from msgspec.structs import replace

from pricer.prices import NotPriced, ParsedPrice, amounts, parsed_price
from schemas.commands import MeterEvent, Rates
from schemas.ids import event_id
from schemas.limits import DAY, HOUR
from schemas.money import format_cents, parse_cents
from schemas.price_match import PriceSlot, candidates
from schemas.quantities import QuantityRate
from schemas.state import InstalledPrice, encode
from tests.integration.reads.conftest import Ledger, filled
from tests.integration.reads.generated import NOW, generated
from warehouse.account_rows import CustomerQuery, PricedQuery
from warehouse.accounts import LedgerAccounts
from warehouse.memory import LedgerRow
from warehouse.reader import query_text
from warehouse.time_range import TimeRange, named
from web import periods
from web.views.price_preview import preview, unit_rates
from web.views.price_rows import PriceRow, UnitPrice

pytestmark = pytest.mark.integration
QUANTITIES = [{}, {"images": "2"}, {"seconds": "0.000001"}, {"cache_read": "3", "images": "12.5"}, {"pages": "1"}]
__all__ = ["filled"]


def with_quantities() -> list[LedgerRow]:
    """Busy rows whose events have quantities and providers, too; each outcome is closed at most once."""
    rng = random.Random(3)
    rows, closed = [], set[int | None]()
    for row in generated(11, 700):
        if row.kind in ("charge", "waived") and (row.original in closed or closed.add(row.original)):
            continue
        if row.kind == "event":
            quantities = rng.choice(QUANTITIES)
            tokens = row.tokens % 10**6 + 20
            row = replace(row, quantities=quantities, provider=rng.choice(["", "p1"]), tokens=tokens)
        rows.append(row)
    return rows


ROWS = with_quantities()


@pytest.fixture
async def reads(filled: Ledger) -> AsyncIterator[LedgerAccounts]:
    filled.insert(ROWS)
    yield LedgerAccounts(filled.engine)


def sums(time: TimeRange) -> dict[str, tuple[int, int]]:
    """Events and pico-cents by customer."""
    found = defaultdict[str, list[int]](lambda: [0, 0])
    for row in ROWS:
        if row.kind in ("event", "charge", "void") and not row.test and time.start <= row.event_time < time.end:
            is_charge = row.kind == "charge" or (row.kind == "void" and row.config_type == "charge")
            found[row.customer_id][0] += 0 if is_charge else -1 if row.kind == "void" else 1
            found[row.customer_id][1] += row.total_cents
    return {name: (events, total) for name, (events, total) in found.items()}


async def test_customers_have_exact_sums_of_both_periods(reads: LedgerAccounts) -> None:
    for period in periods.PERIODS:
        time = named(period, NOW)
        before = periods.before(time, NOW - HOUR // 3)
        now, then = sums(time), sums(before)
        expected = {name: (*now.get(name, (0, 0)), *then.get(name, (0, 0))) for name in {*now, *then}}
        rows = await reads.customers(CustomerQuery(time, before))
        totals = {row.id: (parse_cents(row.total), parse_cents(row.total_before)) for row in rows}
        assert {
            row.id: (row.events, totals[row.id][0], row.events_before, totals[row.id][1]) for row in rows
        } == expected
        assert [row.id for row in rows] == sorted(expected, key=lambda name: (-expected[name][1], name))


async def test_customers_come_from_the_configuration_too(filled: Ledger) -> None:
    """With their last name and flags; a search looks at ids and names; pages do not overlap."""
    details = [
        ("key.created", '{"id":1,"customer_id":"a","customer_name":"First","test":false}'),
        ("customer.created", '{"customer_id":"b","name":null,"test":false,"metered":true}'),
        ("customer.created", '{"customer_id":"c","name":null,"test":false,"metered":true}'),
        ("key.created", '{"id":2,"customer_id":"c","customer_name":null,"test":true}'),
        ("customer.updated", '{"customer_id":"d_1","name":"Zoë","test":true,"metered":false}'),
        ("key.created", '{"id":3,"customer_id":"*","customer_name":"Platform","test":false}'),
    ]
    blank = replace(ROWS[0], kind="config", customer_id="_config", test=False, total_cents=0)
    filled.insert(
        replace(blank, event_id=event_id(0, number), config_type=kind, detail=detail)
        for number, (kind, detail) in enumerate(details)
    )
    reads = LedgerAccounts(filled.engine)
    time = named("30d", NOW)
    query = CustomerQuery(time, periods.before(time, NOW))
    rows = await reads.customers(query)
    assert [(row.id, row.name, row.test, row.metered, row.found) for row in rows] == [
        ("a", "First", False, False, 4),
        ("b", "", False, True, 4),
        ("c", "", False, False, 4),
        ("d_1", "Zoë", True, False, 4),
    ]
    assert [row.id for row in await reads.customers(query._replace(search="FIR"))] == ["a"]
    assert [row.id for row in await reads.customers(query._replace(search="zoË"))] == ["d_1"]
    assert [row.id for row in await reads.customers(query._replace(search="%"))] == []
    assert [row.id for row in await reads.customers(query._replace(limit=2, offset=2))] == ["c", "d_1"]


async def test_last_events_are_those_of_the_rows(reads: LedgerAccounts) -> None:
    live = [row for row in ROWS if row.kind == "event" and not row.test]
    expected = {name: max(row.event_time for row in live if row.customer_id == name) for name in ("acme", "other")}
    assert await reads.last_events(["acme", "other", "nobody"]) == expected
    assert await reads.last_events([]) == {}


RATES = (UnitPrice("images", parse_cents("150"), 1), UnitPrice("cache_read", parse_cents("25"), 10**6))
NEW = PriceRow(
    id=0,
    slot=PriceSlot(None, "chat"),
    base=parse_cents("0.5"),
    token=parse_cents("0.0003"),
    bonus=parse_cents("2.5"),
    rates=RATES,
    ignore_unknown=False,
    is_active=True,
    created_at=NOW,
    ended_at=None,
)
SLOTS = [
    PriceSlot(None, "chat"),
    PriceSlot("acme", "chat"),
    PriceSlot(None, "*"),
    PriceSlot(None, "chat", "m1"),
    PriceSlot(None, "chat", None, "p1"),
    PriceSlot("other", "*", "m2", "p1"),
]


async def test_a_preview_is_the_sum_of_what_the_pricer_would_charge(reads: LedgerAccounts) -> None:
    """Event by event, with the pricer's own rules, for rows of every kind and others in force beside them."""
    time = TimeRange(NOW - 90 * DAY, NOW - DAY)
    seen = [0] * 6
    for slot, ignore_unknown in product(SLOTS, (False, True)):
        finest = (*RATES, UnitPrice("seconds", 1, 1)) if ignore_unknown else RATES
        new = NEW._replace(slot=slot, ignore_unknown=ignore_unknown, rates=finest)
        rows = await reads.priced(PricedQuery(slot, time, unit_rates(new), ignore_unknown))
        shown = preview(new, SLOTS, rows)
        expected = reference(new, time)
        previewed = (shown.events, shown.actual, shown.would_be, shown.open, shown.elsewhere, shown.refused)
        assert (slot, ignore_unknown, previewed) == (slot, ignore_unknown, expected)
        seen = [before + number for before, number in zip(seen, expected, strict=True)]
    assert all(seen)


def reference(new: PriceRow, time: TimeRange) -> tuple[int, int, int, int, int, int]:
    """Events, what they were charged and would be; open ones, those of other rows, refused ones."""
    voided = {row.original for row in ROWS if row.kind == "void"}
    closings = {row.original: row for row in ROWS if row.kind in ("charge", "waived") and row.event_id not in voided}
    ended = {row.original for row in ROWS if row.kind in ("charge", "waived")}
    found = [0] * 6
    for row in ROWS:
        fits = list(candidates(row.customer_id, row.action, row.model or None, row.provider or None))
        is_asked = row.kind == "event" and not row.test and row.event_id not in voided and new.slot in fits
        if not (is_asked and time.start <= row.event_time < time.end):
            continue
        if next(one for one in fits if one in {*SLOTS, new.slot}) != new.slot:
            found[4] += 1
            continue
        closing = closings.get(row.event_id)
        is_won = closing is not None and (
            closing.verdict == "succeeded" or (closing.verdict == "expired" and row.on_expiry == "success")
        )
        event = MeterEvent(
            agent_id=row.agent_id,
            action=row.action,
            tokens=row.tokens,
            tokens_input=row.tokens_input,
            outcome="success" if row.outcome == "success" or is_won else None,
            quantities=row.quantities,
        )
        try:
            would_be = parse_cents(amounts(parsed(new), event)[4])
        except NotPriced:
            found[5] += 1
            continue
        found[0] += 1
        found[1] += row.total_cents + (closing.total_cents if closing else 0)
        found[2] += would_be
        found[3] += row.outcome == "pending" and row.event_id not in ended
    events, actual, total, still_open, elsewhere, refused = found
    return events, actual, total, still_open, elsewhere, refused


def parsed(new: PriceRow) -> ParsedPrice:
    rates = tuple(QuantityRate(one.name, format_cents(one.pico), one.per) for one in new.rates)
    texts = [format_cents(pico) for pico in (new.base, new.token, new.bonus)]
    all_rates = Rates(*texts, rates, ignore_unknown=new.ignore_unknown)
    installed = InstalledPrice(id=1, action_type=new.slot.action, rates=all_rates, offset=0, is_default=True)
    return parsed_price(encode(installed))


async def test_sums_of_customers_are_answered_by_the_projection(filled: Ledger) -> None:
    filled.insert(ROWS)
    time = named("30d", NOW)
    before = periods.before(time, NOW)
    parameters = {"start": time.start, "end": time.end, "before_start": before.start, "before_end": before.end}
    parameters |= {"before_whole": before.end, "search": "", "limit": 50, "offset": 0}
    assert filled.explain(query_text("account_customers"), parameters).count("hourly") >= 2
