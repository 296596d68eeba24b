"""Pages and dashboard data of a whole `rev up`: the figures are those of the ledger, behind one address."""

import os
import re
import signal
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from deploy.supervisor.directory import read_json
from deploy.supervisor.plan import SERVICES
from tests.integration.web.owner import Owner

pytestmark = pytest.mark.integration
NAMED = (*SERVICES, "clickhouse", "kafka")
"""What the system page shows."""
Eventually = Callable[..., Awaitable[None]]
COUNTED = "NOT test AND kind IN ('event', 'charge', 'void')"
EVENTS = "sum(multiIf(kind = 'event', 1, kind = 'void' AND config_type != 'charge', -1, 0))"
TOKENS = "sum(multiIf(kind = 'event', toInt64(tokens), kind = 'void' AND config_type != 'charge', -toInt64(tokens), 0))"


@pytest.fixture
async def used(owner: Owner, eventually: Eventually) -> Owner:
    """A stack with events of two customers, a void, a test event and an outcome, all in the ledger."""
    one = await owner.key("web-one", customer_name="Web One")
    two = await owner.key("web-two")
    test = await owner.key("web-one", test=True)
    for key, agent, tokens in ((one, "web-a", 2401), (one, "web-b", 17), (two, "web-a", 1), (test, "web-t", 5)):
        body = {"agent_id": agent, "action": "completion", "tokens": tokens, "outcome": "success"}
        status, made = await owner.call("POST", "/v1/meter", {**body, "metadata": {"a": "<b>"}}, key)
        assert status == 201, made
    status, made = await owner.call("POST", "/v1/meter", {"agent_id": "web-v", "action": "chat"}, two)
    id = made["event_id"]

    async def voided() -> bool:
        return (await owner.call("POST", f"/api/admin/events/{id}/void", {"reason": "wrong"}))[0] in (200, 201)

    async def all_there() -> bool:
        (row,) = await owner.sql(f"SELECT count() AS n FROM rev.entries WHERE original = {id}")
        return bool(row["n"] == "1")

    await eventually(voided)
    await eventually(all_there)
    return owner


async def test_rankings_equal_the_ledger_to_the_last_decimal(used: Owner) -> None:
    """Each list against an independent query over the rows."""
    for name, member, key in (
        ("revenue-by-agent", "agents", "agent_id"),
        ("revenue-by-customer", "customers", "customer_id"),
        ("revenue-by-action", "actions", "action"),
    ):
        shown = (await used.dashboard(f"{name}?period=30d"))[member]
        first = (await used.dashboard("revenue-over-time?period=30d"))["data"][0]["period_start"]
        rows = await used.sql(
            f"SELECT {key} AS name, {EVENTS} AS events, sum(total_cents) AS cents, {TOKENS} AS tokens FROM rev.entries "
            f"WHERE {COUNTED} AND event_time >= parseDateTime64BestEffort('{first}') "
            "GROUP BY name ORDER BY cents DESC, name"
        )
        assert [(row[key], row["event_count"], Decimal(row["total_cents"]), row["total_tokens"]) for row in shown] == [
            (row["name"], int(row["events"]), Decimal(row["cents"]), int(row["tokens"])) for row in rows
        ]
    customers = (await used.dashboard("revenue-by-customer"))["customers"]
    names = {row["customer_id"]: row["customer_name"] for row in customers}
    assert (names["web-one"], names["web-two"]) == ("Web One", "web-two")


async def test_stats_and_series_equal_the_ledger(used: Owner) -> None:
    stats = await used.dashboard("stats")
    (row,) = await used.sql(f"SELECT {EVENTS} AS events, sum(total_cents) AS cents FROM rev.entries WHERE {COUNTED}")
    assert (stats["total_events"], Decimal(stats["total_revenue_cents"])) == (int(row["events"]), Decimal(row["cents"]))
    for period, count in (("24h", 24), ("7d", 7), ("30d", 30)):
        data = (await used.dashboard(f"revenue-over-time?period={period}"))["data"]
        assert len(data) == count
        (row,) = await used.sql(
            f"SELECT {EVENTS} AS events, sum(total_cents) AS cents FROM rev.entries "
            f"WHERE {COUNTED} AND event_time >= parseDateTime64BestEffort('{data[0]['period_start']}')"
        )
        assert sum(Decimal(one["total_cents"]) for one in data) == Decimal(row["cents"])
        assert sum(one["event_count"] for one in data) == int(row["events"])
    _, keys = await used.call("GET", "/api/admin/api-keys?limit=1000")
    assert stats["active_api_keys"] == sum(key["is_active"] and not key["test"] for key in keys["keys"])
    _, customers = await used.call("GET", "/api/admin/customers?limit=1000")
    assert stats["total_customers"] == sum(not one["test"] for one in customers["customers"])


async def test_recent_events_leave_out_tests_and_show_prices(used: Owner) -> None:
    events = (await used.dashboard("recent-events?limit=100"))["events"]
    assert "web-t" not in {one["agent_id"] for one in events}
    (shown,) = [one for one in events if one["agent_id"] == "web-b"][:1]
    assert (shown["price_cents"], shown["metadata"]) == (Decimal("0.7551"), {"a": "<b>"})


async def test_a_person_signs_in_and_sees_the_figures(used: Owner) -> None:
    """Without a session a page leads to the login; with one it shows the ledger's sum, and no cache keeps it."""
    answer = await used.page("GET", "/dashboard?period=7d")
    assert (answer.status, answer.headers["Location"]) == (303, "/login?next=/dashboard%3Fperiod%3D7d")
    cookie = await used.sign_in()
    answer = await used.page("GET", "/dashboard", Cookie=cookie)
    text = await answer.text()
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    total = sum(Decimal(one["total_cents"]) for one in (await used.dashboard("revenue-over-time"))["data"])
    assert f'title="{total} cents"' in text and "Web One" in text


async def test_the_gateway_keeps_what_is_its_own(owner: Owner) -> None:
    """Its refusals stay JSON, its probes its own; everything else is web's."""
    for method, path in (("GET", "/v1/nothing"), ("GET", "/api/nothing"), ("GET", "/api"), ("DELETE", "/v1/meter")):
        status, refused = await owner.call(method, path)
        assert status in (404, 405) and refused["request_id"]
    assert "rev_ingest" in await (await owner.page("GET", "/metrics")).text()
    answer = await owner.page("GET", "/nothing", Accept="text/html")
    assert answer.status == 404 and "Nothing here" in await answer.text()
    assert (await owner.page("GET", "//evil.example/dashboard")).status == 404


async def test_the_system_page_names_every_service(owner: Owner) -> None:
    """Each is up, and what the ledger says that it wrote is a time."""
    text = await (await owner.page("GET", "/system", Cookie=await owner.sign_in())).text()
    for service in NAMED:
        assert re.search(rf">{service}\n", text), service
    assert text.count(">up<") == len(NAMED) and "Everything is up." in text and "REV_SERVICE_URLS" not in text


async def test_a_killed_web_is_one_sentence_and_comes_back(owner: Owner, eventually: Eventually) -> None:
    """Metering does not notice; the login survives the new process."""
    cookie = await owner.sign_in()
    key = await owner.key("web-killed")
    os.kill(read_json(owner.run["data"] / "run.json")["pids"]["web"], signal.SIGKILL)
    seen = await owner.page("GET", "/dashboard", Cookie=cookie, Accept="text/html")
    assert seen.status in (200, 503)
    if seen.status == 503:
        assert "pages are away" in await seen.text() and seen.headers["Retry-After"]
    assert (await owner.call("POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key))[0] == 201

    async def back() -> bool:
        return (await owner.page("GET", "/dashboard", Cookie=cookie)).status == 200

    await eventually(back)


async def test_while_clickhouse_is_away_pages_say_so(owner: Owner, eventually: Eventually) -> None:
    cookie = await owner.sign_in()
    os.kill(read_json(owner.run["data"] / "run.json")["pids"]["clickhouse"], signal.SIGKILL)
    answer = await owner.page("GET", "/dashboard", Cookie=cookie)
    assert answer.status in (200, 503)

    async def back() -> bool:
        return (await owner.page("GET", "/dashboard", Cookie=cookie)).status == 200

    await eventually(back, timeout=60)
