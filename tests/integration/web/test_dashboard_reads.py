"""The dashboard's SQL on the real engine, against plain Python over the same rows."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from schemas.ids import event_id
from schemas.limits import DAY, HOUR
from schemas.money import format_cents, parse_cents
from tests.integration.reads.conftest import Ledger, filled
from tests.integration.reads.generated import NOW, generated
from warehouse.dashboard import LedgerDashboard
from warehouse.dashboard_rows import RankKey, SeriesQuery
from warehouse.memory import LedgerRow
from warehouse.reader import query_text
from warehouse.time_range import EVER, LAST, TimeRange, day_parameters, named

pytestmark = pytest.mark.integration
ROWS = generated(7, 900)
RANGES = [EVER, named("24h", NOW), named("7d", NOW), named("30d", NOW)]
KEYS: list[RankKey] = ["agent_id", "customer_id", "action"]
PENDING = ("event", "pending")
__all__ = ["filled"]


@pytest.fixture
async def reads(filled: Ledger) -> AsyncIterator[LedgerDashboard]:
    """The dashboard's reads over a busy ledger."""
    filled.insert_half_merged(ROWS)
    yield LedgerDashboard(filled.engine)


def counted(time: TimeRange) -> list[LedgerRow]:
    """The entries that count in a range."""
    kinds = ("event", "charge", "void")
    return [row for row in ROWS if not row.test and row.kind in kinds and time.start <= row.event_time < time.end]


def is_charge(row: LedgerRow) -> bool:
    return row.kind == "charge" or (row.kind == "void" and row.config_type == "charge")


def sums(rows: list[LedgerRow]) -> tuple[int, int, int, int]:
    """Events, charges, tokens, pico-cents."""
    signs = [(-1 if row.kind == "void" else 1, row) for row in rows]
    return (
        sum(sign for sign, row in signs if not is_charge(row)),
        sum(sign for sign, row in signs if is_charge(row)),
        sum(sign * row.tokens for sign, row in signs if not is_charge(row)),
        sum(row.total_cents for row in rows),
    )


def grouped(rows: list[LedgerRow], key: Callable[[LedgerRow], Any]) -> dict[Any, list[LedgerRow]]:
    groups = defaultdict[Any, list[LedgerRow]](list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


async def test_totals_are_exact_for_whole_and_partial_hours(reads: LedgerDashboard) -> None:
    for time in (*RANGES, TimeRange(NOW - 9 * DAY, NOW - 7 * DAY - 1234), TimeRange(NOW - HOUR, NOW - HOUR + 999)):
        row = await reads.totals(time)
        rows = counted(time)
        assert (row.events, row.charges, int(row.tokens), parse_cents(row.total)) == sums(rows)
        assert row.agents == sum(sums(group)[0] > 0 for group in grouped(rows, lambda one: one.agent_id).values())


async def test_run_rates_are_exact(reads: LedgerDashboard) -> None:
    """Of everyone and of each agent: sums, verdicts, and the busiest minute."""
    accepted = sorted(row.recorded_at for row in ROWS)
    for start, end in ((0, LAST), (accepted[len(ROWS) // 2], accepted[-30]), (accepted[-30], LAST), (LAST - 1, LAST)):
        kinds = ("event", "charge", "waived", "void")
        rows = [row for row in ROWS if not row.test and row.kind in kinds and start <= row.recorded_at < end]
        agents = grouped(rows, lambda row: (row.customer_id, row.agent_id))
        expected = [(*key, *run_rate(group, start)) for key, group in agents.items()]
        expected.sort(key=lambda one: (-one[5], -one[2], one[0], one[1]))
        found = await reads.run_rates(TimeRange(start, end), 1000)
        money = ("total", "most")
        shown = [
            tuple(parse_cents(value) if name in money else value for name, value in asdict(row).items())
            for row in found
        ]
        assert shown == ([("", "", *run_rate(rows, start))] if rows else []) + expected
        assert await reads.run_rates(TimeRange(start, end), 2) == found[:2]


def run_rate(rows: list[LedgerRow], start: int) -> tuple[int, ...]:
    """Events, failures, verdicts, pico-cents; minutes with events, and the most of one."""
    minutes = list(grouped(rows, lambda row: (row.recorded_at - start) // 60_000).values())
    known = [row.outcome if row.kind == "event" else row.verdict for row in rows if row.kind != "void"]
    events = [sums(group)[0] - sum(row.kind == "waived" for row in group) for group in minutes]
    return (
        sum(events),
        sum(one in ("failure", "failed") for one in known),
        sum(one not in ("", "pending") for one in known),
        sums(rows)[3],
        sum(count > 0 for count in events),
        max(events),
        max(sums(group)[3] for group in minutes),
    )


@pytest.mark.parametrize("key", KEYS)
async def test_rankings_are_exact_and_add_up(reads: LedgerDashboard, key: RankKey) -> None:
    peer = "agent_id" if key == "customer_id" else "customer_id"
    for time in RANGES:
        groups = grouped(counted(time), lambda row: getattr(row, key))
        expected = []
        for name, rows in groups.items():
            parts = [sums(part) for part in grouped(rows, lambda row: getattr(row, peer)).values()]
            expected.append((name, *sums(rows), sum(events > 0 or charges > 0 for events, charges, _, _ in parts)))
        expected.sort(key=lambda row: (-row[4], row[0]))
        rows = await reads.ranked(time, key, 1000)
        shown = [
            (row.name, row.events, row.charges, int(row.tokens), parse_cents(row.total), row.peers) for row in rows
        ]
        assert shown == expected
        first, *rest = await reads.ranked(time, key, 1)
        assert first == rows[0]
        if len(rows) > 1:
            (last,) = rest
            assert (last.name, last.others, last.peers) == ("", len(rows) - 1, 0)
            assert parse_cents(last.total) == sum(parse_cents(row.total) for row in rows[1:])


@pytest.mark.parametrize(("bucket", "unit"), [("hour", HOUR), ("day", DAY)])
async def test_series_are_exact(reads: LedgerDashboard, bucket: Any, unit: int) -> None:
    time = named("7d", NOW)
    rows = counted(time)
    expected = {
        key: (sums(group)[0], sums(group)[3])
        for key, group in grouped(rows, lambda row: (row.event_time // unit * unit, row.action)).items()
    }
    found = await reads.series(SeriesQuery(time.start, time.end, bucket, "action", 10))
    assert {(row.start, row.name): (row.events, parse_cents(row.total)) for row in found} == expected
    whole = await reads.series(SeriesQuery(time.start, time.end, bucket, "action", 0))
    assert {row.name for row in whole} == {""} and len(whole) == len({start for start, _ in expected})
    assert sum(parse_cents(row.total) for row in whole) == sums(rows)[3]


async def test_recent_events_are_the_last_accepted(reads: LedgerDashboard) -> None:
    events = [row for row in ROWS if row.kind == "event" and not row.test]
    events.sort(key=lambda row: (row.recorded_at, row.event_id), reverse=True)
    assert [row.event_id for row in await reads.recent(0, 30)] == [row.event_id for row in events[:30]]
    since = events[10].recorded_at
    found = await reads.recent(since, 100)
    assert [row.event_id for row in found] == [row.event_id for row in events if row.recorded_at >= since]
    assert found[0].total == format_cents(events[0].total_cents)


async def test_verdicts_and_pending_leave_out_tests(reads: LedgerDashboard) -> None:
    time = named("30d", NOW)
    live = [row for row in ROWS if not row.test]
    ended = [
        row.verdict for row in live if row.kind in ("charge", "waived") and time.start <= row.event_time < time.end
    ]
    told = [row.outcome for row in live if row.kind == "event" and time.start <= row.event_time < time.end]
    found = await reads.verdicts(time)
    assert found.succeeded == ended.count("succeeded") + told.count("success")
    assert found.failed == ended.count("failed") + told.count("failure")
    assert found.expired == ended.count("expired")
    closed = {row.original for row in ROWS if row.kind in ("charge", "waived", "void") and row.outcome_id}
    opened = [row for row in live if row.kind == "registered" or (row.kind == "event" and row.outcome == "pending")]
    waiting = [row for row in opened if row.event_id not in closed and (row.expires_at is None or row.expires_at > NOW)]
    pending = await reads.pending(NOW)
    assert pending.outcomes == len(waiting)
    prices = [row.price_on_success if row.kind == "registered" else row.price_bonus for row in waiting]
    assert parse_cents(pending.total) == sum(prices)


async def test_outcomes_are_counted_as_they_stand(filled: Ledger) -> None:
    """Past its time an outcome counts as expired, though nothing has closed it."""
    closings = grouped([row for row in ROWS if row.kind in ("charge", "waived")], lambda row: row.outcome_id)
    # the generator may close an outcome twice, which a pricer never does
    filled.insert(row for row in ROWS if len(closings.get(row.outcome_id, ())) < 2)
    counts = defaultdict[str, int](int)
    for row in ROWS:
        closed = closings.get(row.outcome_id, [])
        if not row.test and len(closed) < 2 and (row.kind == "registered" or (row.kind, row.outcome) == PENDING):
            over = row.expires_at is not None and row.expires_at <= NOW
            counts[closed[0].verdict if closed else "expired" if over else "pending"] += 1
    found = await LedgerDashboard(filled.engine).outcomes(EVER, NOW)
    assert {row.name: row.outcomes for row in found} == counts and len(counts) == 4


async def test_names_and_counts_follow_the_configuration(filled: Ledger) -> None:
    """The last name that a change gave, else the first of a key; test customers and test keys count nowhere."""
    details = [
        ("key.created", '{"id":1,"customer_id":"a","customer_name":null,"is_active":true,"test":false}'),
        ("key.created", '{"id":2,"customer_id":"a","customer_name":"First","is_active":true,"test":false}'),
        ("key.created", '{"id":3,"customer_id":"a","customer_name":"Second","is_active":true,"test":true}'),
        ("customer.created", '{"customer_id":"b","name":null,"test":false}'),
        ("customer.updated", '{"customer_id":"c","name":"Old","test":false}'),
        ("customer.updated", '{"customer_id":"c","name":"New","test":true}'),
        ("key.created", '{"id":4,"customer_id":"c","customer_name":"Later","is_active":true,"test":false}'),
        ("key.created", '{"id":5,"customer_id":"*","customer_name":"Platform","is_active":true,"test":false}'),
        ("key.revoked", '{"id":2,"customer_id":"a","customer_name":"First","is_active":false,"test":false}'),
    ]
    blank = replace(ROWS[0], kind="config", customer_id="_config", test=False, total_cents=0)
    filled.insert(
        replace(blank, event_id=event_id(0, number), config_type=kind, detail=detail)
        for number, (kind, detail) in enumerate(details)
    )
    reads = LedgerDashboard(filled.engine)
    assert await reads.names(["a", "b", "c", "d"]) == {"a": "First", "c": "New"}
    counts = await reads.counts()
    assert (counts.customers, counts.keys) == (2, 3)


async def test_signups_are_counted_by_their_parameters(filled: Ledger) -> None:
    """In the range in which they were made, and no other entry."""
    drawn = [("x", None, "a"), ("x", None, "a"), (None, None, None), ("</a>", "m", "b"), ("late", None, None)]
    blank = replace(ROWS[0], kind="config", customer_id="_config", test=False, total_cents=0)
    names = ("utm_source", "utm_medium", "utm_campaign")
    filled.insert(
        replace(
            blank,
            event_id=event_id(0, number),
            config_type="signup.created",
            recorded_at=NOW - (31 if utm[0] == "late" else 1) * DAY,
            detail=json.dumps(dict(zip(names, utm, strict=True))),
        )
        for number, utm in enumerate(drawn)
    )
    found = await LedgerDashboard(filled.engine).signups(named("30d", NOW))
    assert [(row.source, row.medium, row.campaign, row.signups) for row in found] == [
        ("x", "", "a", 2),
        ("", "", "", 1),
        ("</a>", "m", "b", 1),
    ]


@pytest.mark.parametrize(
    ("name", "projection"),
    [
        ("dashboard_totals", "by_day_and_agent"),
        ("dashboard_ranked", "by_day"),
        ("dashboard_series", "by_day"),
        ("dashboard_verdicts", "by_day"),
        ("dashboard_outcomes", "by_outcome"),
        ("dashboard_pending", "by_outcome"),
        ("activity_components", "by_component"),
    ],
)
async def test_sums_are_answered_by_a_projection(filled: Ledger, name: str, projection: str) -> None:
    """What two can answer is read from either, by_day or by_day_and_agent."""
    filled.insert(ROWS)
    filled.merge()
    parameters = {
        **day_parameters(named("30d", NOW)),
        "key": "action",
        "peer": "customer_id",
        "most": 10,
        "bucket": "day",
        "customer": "acme-corp",
        "test": 0,
        "agent": "",
        "action": "",
        "now": NOW,
    }
    assert f"ReadFromMergeTree ({projection}" in filled.explain(query_text(name), parameters)
