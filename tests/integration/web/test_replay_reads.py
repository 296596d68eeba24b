"""The SQL of a replay on the real engine equals the pricer's arithmetic, event by event."""

import random
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from schemas.billing_anchors import with_anchor
from schemas.commands import Rates
from schemas.ids import event_id
from schemas.limits import DAY
from schemas.money import parse_cents
from schemas.months import month_of
from schemas.price_match import PriceSlot, candidates
from tests.integration.reads.conftest import Ledger, filled
from tests.integration.reads.generated import NOW
from tests.integration.web import priced_ledger
from tests.integration.web.priced_ledger import WHOLE, PricedLedger, Sums
from warehouse.ledger_row import LedgerRow
from warehouse.reader import query_text
from warehouse.replay import (
    MAX_COMPETING,
    ChangedPrice,
    LedgerReplay,
    ReplayQuery,
    ReplayRow,
    TooManyCompeting,
    billing_periods,
    parameters,
)
from warehouse.time_range import TimeRange, day_parameters

pytestmark = pytest.mark.integration
__all__ = ["filled"]
MADE = priced_ledger.made(5, 500)
ANCHORS = {"acme": with_anchor((), 15, NOW - 90 * DAY), "it's": with_anchor((), 31, NOW - 90 * DAY)}
STEPPED = priced_ledger.made(8, 500, stepped=True, anchors=ANCHORS)
RANGES = [WHOLE, TimeRange(NOW - 9 * DAY - 1, NOW - 2 * DAY + 999)]


@pytest.fixture
def priced(filled: Ledger) -> LedgerReplay:
    filled.insert_half_merged(MADE.rows)
    return LedgerReplay(filled.engine)


def sums(row: ReplayRow) -> Sums:
    counts = (row.events, row.repriced, row.refused, row.waiting)
    money = map(parse_cents, (row.actual, row.replayed, row.waiting_actual, row.waiting_replayed))
    return Sums(*counts, *money)


def day_number(text: str) -> str:
    return str((date.fromisoformat(text) - date(1970, 1, 1)) // timedelta(days=1))


async def found(
    reads: LedgerReplay,
    time: TimeRange,
    changes: list[ChangedPrice],
    customer: str = "",
    ledger: PricedLedger = MADE,
) -> dict[tuple[str, str, str], Sums]:
    rows = (await reads.replay(ReplayQuery(time, customer, changes, list(ledger.in_force)))).parts
    return {
        (row.part, day_number(row.name) if row.part == "day" else row.name, row.why): sums(row)
        for row in rows
        if row.events or row.part != "all"
    }


async def test_random_changes_equal_the_pricer(priced: LedgerReplay) -> None:
    """Rows, changes and prices of every shape; also amounts that are refused, of events priced in sums and alone."""
    reasons, in_sums = set[str](), set[str]()
    for seed in range(12):
        rng = random.Random(seed)
        picked = {*priced_ledger.slots(rng, rng.randrange(1, 9)), *rng.sample(sorted(MADE.in_force, key=repr), 2)}
        changes = [
            ChangedPrice(slot, priced_ledger.some_rates(rng, awkward=seed % 3 == 0, lacking=seed % 3 == 1))
            for slot in sorted(picked, key=repr)
        ]
        time, customer = rng.choice(RANGES), rng.choice(["", "", *priced_ledger.CUSTOMERS])
        expected = priced_ledger.replayed(MADE, time, customer, changes)
        assert await found(priced, time, changes, customer) == expected, seed
        found_here = {why.partition(":")[0] for _, _, why in expected}
        reasons |= found_here
        if parameters(ReplayQuery(time, customer, changes, list(MADE.in_force)))["summed"]:
            in_sums |= found_here
    assert reasons == {"", "no_rate", "too_many_decimals", "too_expensive"}
    assert in_sums >= {"", "no_rate"}


@pytest.mark.parametrize("time", RANGES)
async def test_unchanged_prices_equal_the_ledger(filled: Ledger, priced: LedgerReplay, time: TimeRange) -> None:
    """Without changes, and with the rows that priced the events as changes."""
    same = [ChangedPrice(slot, rates) for slot, rates in MADE.in_force.items()]
    without, repriced = await found(priced, time, []), await found(priced, time, same)
    assert {key: one._replace(repriced=0) for key, one in repriced.items()} == without
    assert repriced["all", "", ""].repriced == repriced["all", "", ""].events > 50
    voided = "SELECT assumeNotNull(original) FROM rev.entries WHERE kind = 'void'"
    inside = f"toUnixTimestamp64Milli(event_time) >= {time.start} AND toUnixTimestamp64Milli(event_time) < {time.end}"
    counted = f"kind = 'event' AND NOT test AND {inside} AND event_id NOT IN ({voided})"
    events = f"SELECT event_id FROM rev.entries WHERE {counted}"
    ((ledger,),) = filled.client.query(
        "SELECT toString(sum(total_cents)) FROM rev.entries WHERE event_id NOT IN "
        f"({voided}) AND (kind = 'event' AND event_id IN ({events}) OR kind = 'charge' AND original IN ({events}))"
    ).result_rows
    for one in (without, repriced):
        assert one["all", "", ""].actual == one["all", "", ""].replayed == parse_cents(ledger) > 0


@pytest.fixture
def stepped(filled: Ledger) -> LedgerReplay:
    """Prices with graduated steps, and two customers whose billing periods begin on another day."""
    set_at = NOW - 90 * DAY
    for number, (customer, anchors) in enumerate(STEPPED.anchors.items()):
        detail = f'{{"customer_id":"x","billing_anchor":{anchors[-1].day}}}'
        row = replace(STEPPED.rows[0], kind="config", event_id=event_id(3, number), customer_id=customer, total_cents=0)
        kept = replace(row, config_type="billing_anchor.updated", detail=detail, event_time=set_at, recorded_at=set_at)
        filled.insert([kept])
    filled.insert_half_merged(STEPPED.rows)
    return LedgerReplay(filled.engine)


async def test_steps_equal_the_pricer(stepped: LedgerReplay) -> None:
    """Rows in steps beside others; also for times that begin in the middle of a billing period."""
    reasons = set[str]()
    for seed in range(12):
        rng = random.Random(seed)
        picked = {*priced_ledger.slots(rng, rng.randrange(1, 6)), *rng.sample(sorted(STEPPED.in_force, key=repr), 2)}
        changes = [
            ChangedPrice(
                slot, priced_ledger.some_rates(rng, awkward=False, lacking=seed % 3 == 1, stepped=rng.random() < 0.6)
            )
            for slot in sorted(picked, key=repr)
        ]
        time, customer = rng.choice(RANGES), rng.choice(["", "", *priced_ledger.CUSTOMERS])
        expected = priced_ledger.replayed(STEPPED, time, customer, changes)
        assert await found(stepped, time, changes, customer, STEPPED) == expected, seed
        reasons |= {why.partition(":")[0] for _, _, why in expected}
    assert reasons >= {"", "no_rate"}


@pytest.mark.parametrize("time", RANGES)
async def test_unchanged_steps_equal_the_ledger(stepped: LedgerReplay, time: TimeRange) -> None:
    """What each event costs depends on those before it in its billing period, voided ones and those outside of the
    time included."""
    same = [ChangedPrice(slot, rates) for slot, rates in STEPPED.in_force.items()]
    without = await found(stepped, time, [], ledger=STEPPED)
    repriced = await found(stepped, time, same, ledger=STEPPED)
    assert {key: one._replace(repriced=0) for key, one in repriced.items()} == without
    whole = repriced["all", "", ""]
    assert whole.repriced == whole.events > 50 and whole.actual == whole.replayed > 0


async def test_registered_outcomes_keep_their_prices(priced: LedgerReplay) -> None:
    change = ChangedPrice(PriceSlot(None, "outcome_charge"), Rates("7", "7", "7"))
    known = [row for row in MADE.rows if row.action == "outcome_charge" and not row.test]
    inside = [row for row in known if WHOLE.start <= row.event_time < WHOLE.end]
    result = await priced.replay(ReplayQuery(WHOLE, "", [change], list(MADE.in_force)))
    assert (result.registered.charges, parse_cents(result.registered.total)) == (
        len(inside),
        sum(row.total_cents for row in inside),
    )
    assert result.parts[-1].repriced == 0


async def test_an_empty_range_and_many_competing_rows(priced: LedgerReplay) -> None:
    change = ChangedPrice(PriceSlot(None, "chat"), Rates("1", "0", "0"))
    nothing = await found(priced, TimeRange(0, 1), [change])
    assert nothing == {}
    rows = [PriceSlot(f"customer {number} ☃", "chat") for number in range(MAX_COMPETING + 1)]
    assert await priced.replay(ReplayQuery(WHOLE, "", [change], rows[1:]))
    with pytest.raises(TooManyCompeting, match="customer_id"):
        await priced.replay(ReplayQuery(WHOLE, "", [change], rows))
    assert await priced.replay(ReplayQuery(WHOLE, "acme", [change], rows))


async def test_plain_events_come_from_the_projection(filled: Ledger) -> None:
    filled.insert(MADE.rows)
    filled.merge()
    changes = [ChangedPrice(PriceSlot(None, "chat"), Rates("1", "0.0003", "0"))]
    query = ReplayQuery(WHOLE, "", changes, list(MADE.in_force))
    months = {"month": "000000", "counted_month": "000000", **billing_periods({}, WHOLE)}
    given = {**day_parameters(WHOLE), **parameters(query), **months, "customer": "", "limit": 9}
    assert "(by_day)" in filled.explain(query_text("replay"), given)


def test_the_generator_makes_all_cases() -> None:
    """Or the comparison above would compare little."""
    kinds = {row.kind for row in MADE.rows}
    assert kinds == {"event", "charge", "waived", "void"} and isinstance(MADE, PricedLedger)
    assert {row.verdict for row in MADE.rows} == {"", "succeeded", "failed", "expired"}


async def test_months_are_what_a_price_is_for(priced: LedgerReplay) -> None:
    """By customer, month of the accepted time and names of quantities; of the events that the price would win."""
    voided = {(row.customer_id, row.original) for row in MADE.rows if row.kind == "void"}
    seen = 0
    for seed in range(10):
        rng = random.Random(seed)
        slot = rng.choice([*sorted(MADE.in_force, key=repr), *priced_ledger.slots(rng, 3)])
        start, end = NOW - rng.choice((20, 60)) * DAY, NOW - rng.choice((0, 3)) * DAY
        expected: dict[tuple[str, str, tuple[str, ...]], list[LedgerRow]] = defaultdict(list)
        for row in MADE.rows:
            if row.kind != "event" or row.test or (row.customer_id, row.event_id) in voided:
                continue
            wins = next(
                (one for one in candidates(row.customer_id, row.action, row.model or None, row.provider or None)
                 if one == slot or one in MADE.in_force),
                None,
            )  # fmt: skip
            if wins == slot and start <= row.recorded_at < end:
                expected[row.customer_id, month_of(row.recorded_at), tuple(row.quantities)].append(row)
        found = await priced.month_units(slot, list(MADE.in_force), TimeRange(start, end))
        assert {(row.customer, row.month, tuple(row.names)) for row in found} == expected.keys() and len(found) == len(
            expected
        )
        for row in found:
            rows = expected[row.customer, row.month, tuple(row.names)]
            assert row.events == len(rows) and row.wins == sum(one.outcome == "success" for one in rows)
            assert int(row.token_sum) == sum(one.tokens for one in rows)
            assert int(row.input_sum) == sum(one.tokens_input or 0 for one in rows)
            assert int(row.output_sum) == sum(one.tokens_output or 0 for one in rows)
            assert [Decimal(unit) for unit in row.units] == [
                sum(Decimal(one.quantities[name]) for one in rows) for name in row.names
            ]
            assert parse_cents(row.total) == sum(one.total_cents for one in rows)
        seen += len(found)
    assert seen > 50
