"""/api/dashboard: the fields of the reference, exact numbers, strict parameters, and who may read it."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.web.conftest import ADMIN, NOW, Server, event
from warehouse.dashboard_rows import OutcomeCountRow, RankedRow, SeriesRow, SignupsRow
from warehouse.time_range import named
from web.data import dashboard_data

BEARER = {"Authorization": f"Bearer {ADMIN}"}
NAMES = [
    *("stats", "revenue-by-agent", "revenue-by-customer", "revenue-by-action"),
    *("recent-events", "revenue-over-time", "outcomes", "signups"),
]
PERIODIC = [name for name in NAMES if name not in ("stats", "recent-events")]


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


async def read(server: Server, path: str) -> Any:
    status, headers, text = await server.get(f"/api/dashboard/{path}", **BEARER)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
    return exact(text)


async def test_stats_are_exact(server: Server) -> None:
    assert await read(server, "stats") == {
        "total_events": 12,
        "total_revenue_cents": Decimal("123.455"),
        "total_revenue_dollars": Decimal("1.23"),
        "events_today": 12,
        "revenue_today_cents": Decimal("123.455"),
        "revenue_today_dollars": Decimal("1.23"),
        "revenue_week_cents": Decimal("123.455"),
        "revenue_week_dollars": Decimal("1.23"),
        "active_agents_today": 2,
        "total_customers": 8,
        "active_api_keys": 12,
        "currency": "usd",
    }


def ranked(name: str, **changes: Any) -> RankedRow:
    fields: dict[str, Any] = {
        "others": 0,
        "events": 800,
        "charges": 0,
        "tokens": "560000",
        "total": "3200.5",
        "peers": 3,
    }
    return RankedRow(name=name, **{**fields, **changes})


async def test_rankings_have_the_fields_of_the_reference(server: Server) -> None:
    """The last row sums all that have none of their own."""
    rest = ranked("", others=7, peers=0, events=2, total="0.000000000001", tokens=str(10**20))
    server.reads.rankings = {key: [ranked("one"), rest] for key in server.reads.rankings}
    server.reads.named = {"one": "The One"}
    sums = {
        "event_count": 800,
        "total_cents": Decimal("3200.5"),
        "total_dollars": Decimal("32.01"),
        "total_tokens": 560000,
    }
    others = {
        "others": 7,
        "event_count": 2,
        "total_cents": Decimal("0.000000000001"),
        "total_dollars": Decimal("0.00"),
        "total_tokens": 10**20,
    }
    assert await read(server, "revenue-by-agent?period=7d") == {
        "period": "7d",
        "agents": [{"agent_id": "one", **sums, "customer_count": 3}, others],
        "currency": "usd",
    }
    assert (await read(server, "revenue-by-customer"))["customers"] == [
        {"customer_id": "one", "customer_name": "The One", **sums, "agent_count": 3},
        others,
    ]
    assert (await read(server, "revenue-by-action?period=24h"))["actions"] == [
        {"action": "one", **sums, "customer_count": 3},
        others,
    ]


async def test_recent_events_are_shown_in_full(server: Server) -> None:
    server.reads.events = [event(), event(event_id=41, outcome="", metadata="", recorded_at=NOW - 10**9)]
    server.reads.named = {"acme-corp": "Acme Corp"}
    first, second = (await read(server, "recent-events"))["events"]
    assert first == {
        "id": 42,
        "customer_id": "acme-corp",
        "customer_name": "Acme Corp",
        "agent_id": "agent-copilot",
        "action": "completion",
        "tokens": 2400,
        "outcome": "success",
        "price_cents": Decimal("1.47"),
        "price_breakdown": {
            "base_rate_cents": Decimal("0.5"),
            "token_charge_cents": Decimal("0.72"),
            "outcome_bonus_cents": Decimal("0.25"),
        },
        "metadata": {"n": Decimal("1.00")},
        "created_at": "2026-04-26T12:00:00.000Z",
    }
    assert (second["outcome"], second["metadata"]) == (None, None)
    assert len((await read(server, "recent-events?limit=1"))["events"]) == 1


@pytest.mark.parametrize(("period", "count", "last"), [("24h", 24, 12), ("7d", 7, 0), ("30d", 30, 0)])
def test_empty_buckets_are_there(period: str, count: int, last: int) -> None:
    time = named(period, NOW)
    start = time.end - (3_600_000 if period == "24h" else 86_400_000)
    rows = [SeriesRow(start, "a", 2, "0.1"), SeriesRow(start, "b", 1, "0.2")]
    made = dashboard_data.over_time(period, time, rows)
    assert len(made.data) == count
    assert made.data[-1].period_start == f"2026-04-26T{last:02d}:00:00.000Z"
    assert (made.data[-1].event_count, bytes(made.data[-1].total_cents)) == (3, b"0.3")
    assert {(row.event_count, bytes(row.total_cents)) for row in made.data[:-1]} == {(0, b"0")}


async def test_outcomes_are_counted_by_status(server: Server) -> None:
    server.reads.by_status = [
        OutcomeCountRow("pending", 2, "0", "9800"),
        OutcomeCountRow("succeeded", 3, "14700.5", "0"),
    ]
    assert (await read(server, "outcomes?period=7d"))["outcomes"] == {
        "total": 5,
        "pending": 2,
        "succeeded": 3,
        "failed": 0,
        "expired": 0,
        "charge_cents": Decimal("14700.5"),
        "charge_dollars": Decimal("147.01"),
        "pending_cents": 9800,
        "pending_dollars": Decimal("98.00"),
    }


async def test_signups_are_counted_by_each_parameter(server: Server) -> None:
    """The most first; those without a parameter under null."""
    server.reads.signed_up = [
        SignupsRow("x", "social", "a", 2),
        SignupsRow("email", "", "a", 3),
        SignupsRow("x", "", "", 4),
    ]
    assert await read(server, "signups?period=7d") == {
        "period": "7d",
        "total": 9,
        "by_source": [{"name": "x", "signups": 6}, {"name": "email", "signups": 3}],
        "by_medium": [{"name": None, "signups": 7}, {"name": "social", "signups": 2}],
        "by_campaign": [{"name": "a", "signups": 5}, {"name": None, "signups": 4}],
    }


@pytest.mark.parametrize("name", PERIODIC)
@pytest.mark.parametrize("period", ["90d", "", "7D", "1h"])
async def test_another_period_is_refused_by_name(server: Server, name: str, period: str) -> None:
    status, _, text = await server.get(f"/api/dashboard/{name}?period={period}", **BEARER)
    assert status == 400
    assert exact(text)["error"] == f"period must be one of 24h, 7d, 30d, not {period!r}"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=ten", "limit=", "limit=5&limit=5", "period=7d"])
async def test_bad_parameters_of_recent_events_are_refused(server: Server, query: str) -> None:
    status, _, text = await server.get(f"/api/dashboard/recent-events?{query}", **BEARER)
    assert status == 400 and query.partition("=")[0] in exact(text)["error"]


@pytest.mark.parametrize("name", NAMES)
async def test_only_the_owner_reads_it(server: Server, name: str) -> None:
    """With the admin token or a session; the refusal is JSON with a challenge."""
    path = f"/api/dashboard/{name}"
    for headers in ({}, {"Authorization": "Bearer guess"}, {"Authorization": ADMIN}, {"Cookie": "rev_session=x"}):
        status, answered, text = await server.get(path, **headers)
        assert (status, answered["WWW-Authenticate"], exact(text)["code"]) == (401, "Bearer", "unauthorized")
    assert (await server.get(path, **BEARER))[0] == 200
    assert (await server.get(path, **server.signed_in()))[0] == 200


async def test_a_public_dashboard_is_read_by_everyone(serving: Callable[..., Any]) -> None:
    """The data alone: pages ask for a login."""
    server = await serving(REV_PUBLIC_DASHBOARD="1")
    assert {(await server.get(f"/api/dashboard/{name}"))[0] for name in NAMES} == {200}
    assert (await server.get("/dashboard"))[0] == 303


async def test_without_a_ledger_the_answer_is_503(server: Server) -> None:
    server.reads.available = False
    status, headers, text = await server.get("/api/dashboard/stats", **BEARER)
    assert (status, headers["Retry-After"], exact(text)["code"]) == (503, "1", "reads_unavailable")
    status, _, text = await server.get("/dashboard", **server.signed_in())
    assert status == 503 and "the ledger cannot be read" in text and 'http-equiv="refresh"' in text
