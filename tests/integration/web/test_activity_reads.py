"""The SQL of events, agents, actions and outcomes on the real engine, against plain Python over the same rows."""

import json
from collections.abc import AsyncIterator, Callable
from decimal import Context, Decimal
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.limits import DAY
from schemas.money import DECIMALS, parse_cents
from schemas.quantities import Line
from tests.integration.reads.conftest import Ledger, filled
from tests.integration.reads.generated import NOW, generated
from tests.unit.web.activity import entry_of
from warehouse.activity import LedgerActivity
from warehouse.activity_rows import BOTH, CLOSED, OPEN, TEST, EventSearch, OutcomeSearch, SumsQuery
from warehouse.memory import LedgerRow
from warehouse.time_range import LAST, TimeRange

pytestmark = pytest.mark.integration
ROWS = [
    replace(row, task_id=f"task-{number % 7}", trace_id=f"trace-{number % 5}")
    for number, row in enumerate(generated(11, 700))
]
ROWS.append(LedgerRow("rejected", 1 << 40, "_config", actor="admin", reason="no price 9", recorded_at=NOW))
VOIDED = {row.original for row in ROWS if row.kind == "void"}
EVENTS = [row for row in ROWS if row.kind == "event" or (row.kind == "rejected" and not row.config_type)]
EVENTS.pop()  # a refused change of configuration is none
EVENTS.sort(key=lambda row: (row.recorded_at, row.event_id), reverse=True)
EXACT = Context(prec=60)
__all__ = ["filled"]


@pytest.fixture
async def reads(filled: Ledger) -> AsyncIterator[LedgerActivity]:
    filled.insert_half_merged(ROWS)
    yield LedgerActivity(filled.engine)


SEARCHES: list[tuple[EventSearch, Callable[[LedgerRow], bool]]] = [
    (EventSearch(), lambda row: not row.test),
    (EventSearch(tests=TEST), lambda row: row.test),
    (EventSearch(tests=BOTH, customer="acme"), lambda row: row.customer_id == "acme"),
    (EventSearch(tests=BOTH, agent="it's"), lambda row: row.agent_id == "it's"),
    (EventSearch(tests=BOTH, action="chat", model="m1"), lambda row: row.action == "chat" and row.model == "m1"),
    (EventSearch(tests=BOTH, provider="p"), lambda row: row.provider == "p"),
    (EventSearch(tests=BOTH, task_id="task-3"), lambda row: row.task_id == "task-3"),
    (EventSearch(tests=BOTH, trace_id="trace-2"), lambda row: row.trace_id == "trace-2"),
    (EventSearch(tests=BOTH, metadata='1.00, "y": "ü\\n'), lambda row: row.metadata != ""),
    (EventSearch(tests=BOTH, metadata="'\\%"), lambda row: False),
    (EventSearch(tests=BOTH, outcome="failure"), lambda row: row.outcome == "failure"),
    (EventSearch(tests=BOTH, status="rejected"), lambda row: row.kind == "rejected"),
    (EventSearch(tests=BOTH, status="voided"), lambda row: row.kind == "event" and row.event_id in VOIDED),
    (EventSearch(tests=BOTH, status="priced"), lambda row: row.kind == "event" and row.event_id not in VOIDED),
    (EventSearch(tests=BOTH, import_id="imp-5"), lambda row: row.import_id == "imp-5"),
    (EventSearch(tests=BOTH, idempotency_key="key-300"), lambda row: row.idempotency_key == "key-300"),
    (EventSearch(tests=BOTH, time=TimeRange(NOW - 30 * DAY, NOW - 9 * DAY)),
     lambda row: NOW - 30 * DAY <= row.event_time < NOW - 9 * DAY),
]  # fmt: skip


async def test_a_search_finds_what_fits_and_pages_go_on(reads: LedgerActivity) -> None:
    for search, fits in SEARCHES:
        expected = [row for row in EVENTS if fits(row)]
        found, after = [], search._replace(limit=197)
        while page := await reads.events(after):
            found += page
            after = after._replace(before=(page[-1].recorded_at, page[-1].event_id))
        assert [row.event_id for row in found] == [row.event_id for row in expected], search
        assert [parse_cents(row.total) for row in found] == [row.total_cents for row in expected]
    since = EVENTS[40].recorded_at
    recent = await reads.events(EventSearch(tests=BOTH, limit=1000), since)
    assert len(recent) == sum(row.recorded_at >= since for row in EVENTS)


def itemized(row: LedgerRow, rng: Random) -> LedgerRow:
    """The row with parts and lines of any kind, those of a void negative."""
    sign = -1 if row.kind == "void" else 1
    parts = {name: sign * rng.choice((0, 1, 10**13)) for name in ("base_cents", "token_cents", "bonus_cents")}
    names = rng.sample(("input", "cache_read", "images"), rng.choice((0, 0, 1, 3)))
    lines = [Line(name, rng.choice(("2.5", "1000")), "0.3", 7, str(sign * rng.randrange(9))) for name in names]
    return replace(row, lines=tuple(lines), tokens=rng.randrange(5000), **parts)


@pytest.mark.parametrize("time", [TimeRange(0, LAST), TimeRange(NOW - 30 * DAY - 7, NOW - 9 * DAY + 7)])
async def test_components_are_the_lines_of_an_action(filled: Ledger, time: TimeRange) -> None:
    """The lines are those of the view rev.lines; what a void takes back is taken off."""
    rng = Random(5)
    filled.insert_half_merged([itemized(row, rng) for row in ROWS])
    reads = LedgerActivity(filled.engine)
    seen: set[str] = set()
    for action in sorted({row.action for row in ROWS}):
        given = {"action": action, "start": time.start, "end": min(time.end, NOW + DAY)}
        lines = filled.client.query(
            "SELECT component, sum(quantity), sum(cents) FROM rev.lines WHERE action = {action:String}"
            " AND event_time >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')"
            " AND event_time < fromUnixTimestamp64Milli({end:Int64}, 'UTC') GROUP BY component",
            parameters=given,
        ).result_rows
        found = await reads.components(action, time)
        sums = {row.component: (Decimal(row.units), Decimal(row.total)) for row in found}
        assert sums == {name: (units, cents) for name, units, cents in lines if units or cents}
        assert [cents for _, cents in sums.values()] == sorted((cents for _, cents in sums.values()), reverse=True)
        seen |= sums.keys()
    assert seen == {"event", "tokens", "outcome", "success", "input", "cache_read", "images"}


async def test_an_entry_is_read_whole_with_what_refers_to_it(reads: LedgerActivity) -> None:
    assert await reads.voided([row.event_id for row in EVENTS]) == {
        row.original: row.reason for row in ROWS if row.kind == "void" and row.original in {e.event_id for e in EVENTS}
    }
    assert await reads.entry(1) is None
    for row in ROWS[:300:25]:
        found = await reads.entry(row.event_id)
        assert found is not None and found == entry_of(row)
        related = [
            other
            for other in ROWS
            if other.customer_id == row.customer_id
            and other.event_id >= row.event_id
            and (
                row.event_id in (other.event_id, other.original)
                or (row.outcome_id and other.outcome_id == row.outcome_id)
            )
        ]
        assert [one.event_id for one in await reads.related(found)] == [one.event_id for one in related]


async def test_the_text_of_an_entry_has_every_column(filled: Ledger, reads: LedgerActivity) -> None:
    """Amounts as numbers to the last decimal, metadata byte for byte."""
    columns = [name for name, *_ in filled.client.query("DESCRIBE TABLE rev.entries").result_rows]
    for row in ROWS[:300:25]:
        found = json.loads(await reads.entry_text(entry_of(row)), parse_float=Decimal)
        assert list(found) == columns
        assert (int(found["event_id"]), found["metadata"]) == (row.event_id, row.metadata)
        assert Decimal(found["total_cents"]).scaleb(DECIMALS, EXACT) == row.total_cents
    assert await reads.entry_text(replace(entry_of(ROWS[0]), event_id=1)) == ""


@pytest.mark.parametrize("key", ["agent_id", "action", "customer_id"])
async def test_sums_compare_two_periods(reads: LedgerActivity, key: Any) -> None:
    time, before = TimeRange(NOW - 30 * DAY, NOW + DAY), TimeRange(NOW - 61 * DAY, NOW - 31 * DAY - 12345)
    for agent, action in (("", ""), ("a1", ""), ("", "chat")):
        rows = [
            row
            for row in ROWS
            if not row.test
            and row.kind in ("event", "charge", "waived", "void")
            and agent in ("", row.agent_id)
            and action in ("", row.action)
        ]
        now = [row for row in rows if time.start <= row.event_time < time.end]
        then = [row for row in rows if before.start <= row.event_time < before.end]
        found = await reads.sums(SumsQuery(key, time, before, 1000, agent, action))
        names = {getattr(row, key) for row in now + then}
        assert {row.name for row in found} == names
        order = [(-parse_cents(row.total), row.name) for row in found]
        assert order == sorted(order)
        for row in found:
            mine = [one for one in now if getattr(one, key) == row.name]
            signs = [(-1 if one.kind == "void" else 1, one) for one in mine if one.kind in ("event", "void")]
            signs = [(sign, one) for sign, one in signs if one.config_type != "charge"]
            assert row.events == sum(sign for sign, _ in signs)
            assert int(row.token_sum) == sum(sign * one.tokens for sign, one in signs)
            assert parse_cents(row.total) == sum(one.total_cents for one in mine)
            assert parse_cents(row.before) == sum(one.total_cents for one in then if getattr(one, key) == row.name)
            told = [one.outcome for one in mine if one.kind == "event" and one.outcome in ("success", "failure")]
            ended = [one.verdict for one in mine if one.kind in ("charge", "waived")]
            assert row.succeeded == told.count("success") + ended.count("succeeded")
            assert row.ended == len(told) + len(ended)


async def test_outcomes_stand_as_they_do_and_page(filled: Ledger) -> None:
    """Open ones by their deadline; closed ones, the last closed first, also those that are merely past their time."""
    closings: dict[str, list[LedgerRow]] = {}
    for row in ROWS:
        if row.kind in ("charge", "waived"):
            closings.setdefault(row.outcome_id, []).append(row)
    # the generator may close an outcome twice, which a pricer never does
    rows = [row for row in ROWS if len(closings.get(row.outcome_id, ())) < 2]
    filled.insert(rows)
    reads = LedgerActivity(filled.engine)
    opened = [row for row in rows if row.kind == "registered" or (row.kind, row.outcome) == ("event", "pending")]
    places = []
    for row in opened:
        closed = closings.get(row.outcome_id, [])
        over = row.expires_at is not None and row.expires_at <= NOW
        is_open = not closed and not over
        due = row.expires_at or 0
        place = due if is_open else -(closed[0].recorded_at if closed else due)
        places.append((place, row.event_id, is_open, row))
    places.sort(key=lambda one: one[:2])
    for states, wanted in ((OPEN, True), (CLOSED, False)):
        found, search = [], OutcomeSearch(NOW, states, tests=BOTH, limit=17)
        while page := await reads.outcomes(search):
            found += page
            search = search._replace(after=(page[-1].place, page[-1].event_id))
        expected = [one for one in places if one[2] == wanted]
        assert [(row.place, row.event_id) for row in found] == [one[:2] for one in expected] and expected
        prices = [row.price_on_success if row.kind == "registered" else row.price_bonus for *_, row in expected]
        assert [parse_cents(row.on_success) for row in found] == prices
    one = opened[3]
    of_task = await reads.outcomes(OutcomeSearch(NOW, task_id="task-3", tests=BOTH, limit=1000))
    assert {row.event_id for row in of_task} == {row.event_id for row in opened if row.task_id == "task-3"} != set()
    (row,) = await reads.outcomes(OutcomeSearch(NOW, outcome_id=one.outcome_id, tests=BOTH))
    assert (row.event_id, row.customer_id, row.agent_id) == (one.event_id, one.customer_id, one.agent_id)
