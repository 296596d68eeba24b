"""The SQL of the pages about customers and prices on the real engine, against plain Python over the same rows."""

from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from schemas.funding import Draw
from schemas.ids import event_id
from schemas.limits import HOUR
from schemas.money import parse_cents
from tests.integration.reads.conftest import Ledger, filled
from tests.integration.reads.generated import NOW, generated
from warehouse.account_rows import CustomerQuery
from warehouse.accounts import LedgerAccounts
from warehouse.reader import query_text
from warehouse.time_range import TimeRange, day_parameters, named
from web import periods

pytestmark = pytest.mark.integration
__all__ = ["filled"]


ROWS = generated(11, 700)


@pytest.fixture
async def reads(filled: Ledger) -> AsyncIterator[LedgerAccounts]:
    filled.insert_half_merged(ROWS)
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


async def test_grants_show_what_was_drawn_from_them(filled: Ledger) -> None:
    """Of one customer and mode, the newest first; what a void gave back is not drawn."""
    blank = replace(ROWS[0], kind="config", config_type="credit.granted", test=False, total_cents=0, actor="admin")
    event = replace(ROWS[0], kind="event", test=False, total_cents=0)
    grant, other, test = (event_id(0, number) for number in (1, 2, 3))
    filled.insert(
        [
            replace(blank, event_id=grant, customer_id="acme", detail='{"amount_cents":5}'),
            replace(blank, event_id=other, customer_id="acme"),
            replace(blank, event_id=test, customer_id="acme", test=True),
            replace(blank, event_id=event_id(0, 4), customer_id="other"),
            replace(event, event_id=event_id(0, 5), customer_id="acme", draws=(Draw(grant, "0.3"), Draw(other, "1"))),
            replace(event, event_id=event_id(0, 6), customer_id="acme", draws=(Draw(grant, "0.000000000001"),)),
            replace(event, event_id=event_id(0, 7), customer_id="acme", draws=(Draw(other, "-1"),), kind="void"),
            replace(event, event_id=event_id(0, 8), customer_id="acme", draws=(Draw(test, "2"),), test=True),
        ]
    )
    reads = LedgerAccounts(filled.engine)
    rows = await reads.grants("acme", False, 10)
    assert [(row.id, row.used) for row in rows] == [(other, "0"), (grant, "0.300000000001")]
    assert (rows[1].detail, rows[1].actor) == ('{"amount_cents":5}', "admin")
    assert [row.id for row in await reads.grants("acme", False, 1)] == [other]
    assert [(row.id, row.used) for row in await reads.grants("acme", True, 10)] == [(test, "2")]


async def test_sums_of_customers_are_answered_by_the_projection(filled: Ledger) -> None:
    filled.insert(ROWS)
    filled.merge()
    time = named("30d", NOW)
    parameters = day_parameters(time) | day_parameters(periods.before(time, NOW), "before_")
    parameters |= {"search": "", "limit": 50, "offset": 0}
    assert "(by_day" in filled.explain(query_text("account_customers"), parameters)
    parameters = {"customers": ["acme", "other"]}
    assert "(by_day)" in filled.explain(query_text("account_last_events"), parameters)
