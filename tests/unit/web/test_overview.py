"""The overview: what it compares, its chart, and that nothing a customer sends becomes markup."""

import re
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from schemas.limits import DAY, HOUR
from schemas.money import PICO
from tests.unit.web.conftest import NOW, Server, event
from warehouse.dashboard_rows import RankedRow, SeriesRow
from warehouse.time_range import TimeRange, named, today
from web import periods
from web.application import SECURITY, table
from web.routes import Audience
from web.views import series_chart

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_before_is_up_to_the_same_moment() -> None:
    """Today until noon is compared with yesterday until noon."""
    assert periods.before(today(NOW), NOW) == TimeRange(NOW - 36 * HOUR, NOW - 24 * HOUR)
    week = named("7d", NOW)
    assert periods.before(week, NOW) == TimeRange(week.start - 7 * DAY, NOW - 7 * DAY)


def test_a_bar_is_as_exact_as_its_parts() -> None:
    """Segments stand on each other, and a bar is as high as its sum, whatever is rounded."""
    starts = range(0, 3 * HOUR, HOUR)
    rows = [SeriesRow(0, name, 1, f"{cents}") for name, cents in (("a", 100), ("b", "33.3"), ("c", "0.001"), ("", 5))]
    chart = series_chart.draw([*rows, SeriesRow(HOUR, "a", 1, "0.0001")], starts, "hour")
    assert [one.name for one in chart.series] == ["a", "b", "c", "all others"]
    assert [one.series for one in chart.series] == [1, 2, 3, 0]
    first = [one for one in chart.segments if one.x < series_chart.SLOT]
    assert first[0].y + first[0].height == chart.height
    assert all(upper.y + upper.height == lower.y for lower, upper in pairwise(first))
    top = 200 * PICO
    assert first[-1].y == chart.height - (138_301 * PICO // 1000) * chart.height // top
    assert chart.scale == ["$2", "$1", "$0"]
    (small,) = [one for one in chart.segments if one.x > series_chart.SLOT]
    assert small.height == series_chart.LEAST
    assert [row.total for row in chart.buckets] == [138_301 * PICO // 1000, PICO // 10_000, 0]


def test_a_chart_of_nothing_is_empty() -> None:
    chart = series_chart.draw([], range(0, DAY, HOUR), "hour")
    assert chart.is_empty and chart.segments == [] and len(chart.buckets) == 24


@pytest.mark.parametrize(
    ("pico", "top"),
    [(0, 100 * PICO), (1, 1), (3, 5), (5, 5), (51, 100), (199, 200), (201, 500), (10**14 + 1, 2 * 10**14)],
)
def test_a_scale_ends_at_a_round_number(pico: int, top: int) -> None:
    assert series_chart.round_up(pico) == top


async def test_the_overview_shows_figures_and_tables(server: Server) -> None:
    server.reads.events = [event()]
    server.reads.named = {"acme-corp": "Acme Corp"}
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "completion", 3, "147")]
    status, _, text = await server.get("/dashboard", **server.signed_in())
    assert status == 200
    assert text.count("$1.23") == 3 and 'title="123.455 cents"' in text
    for words in ("90.0 %", "9 of 10 verdicts", "$98.00", "if all 2 succeed", "Acme Corp", "$0.0147", "$1.47"):
        assert words in text
    assert "No events yet" not in text


async def test_revenue_over_time_is_stacked_by_what_one_chooses(server: Server) -> None:
    """Customers by their names; two of one name stay two."""
    server.reads.events = [event()]
    server.reads.named = {"a": "Acme <b>", "b": "Acme <b>"}
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, name, 1, cents) for name, cents in (("a", "100"), ("b", "30"))]
    _, _, text = await server.get("/dashboard?period=7d&by=customer", **server.signed_in())
    assert server.reads.series_asked[-1].key == "customer_id" and "Revenue by customer" in text
    assert re.findall(r'data-series="(\d)">(.*?)</th>', text) == [("1", "Acme &lt;b&gt;"), ("2", "Acme &lt;b&gt;")]
    assert "/dashboard?by=customer&amp;period=30d" in text and "/export/usage.csv?period=7d&amp;by=customer" in text
    assert (await server.get("/dashboard?by=model", **server.signed_in()))[0] == 400


async def test_before_the_first_event_it_says_what_to_do(server: Server) -> None:
    _, _, text = await server.get("/dashboard", **server.signed_in(), X_Forwarded_Proto="https")
    assert "No events yet" in text and "curl https://127.0.0.1:" in text


async def test_markup_is_shown_as_text(server: Server) -> None:
    """Wherever a customer's words stand: names, agents, actions, outcomes of events, the chart and its table."""
    row = RankedRow(MARKUP, 0, events=1, charges=0, tokens="1", total="1", peers=1)
    server.reads.rankings = {key: [row] for key in server.reads.rankings}
    server.reads.events = [event(customer_id=MARKUP, agent_id=MARKUP, action=MARKUP, outcome=MARKUP)]
    server.reads.named = {MARKUP: MARKUP}
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, MARKUP, 1, "1")]
    _, _, text = await server.get("/dashboard", **server.signed_in())
    assert text.count("&lt;script&gt;") >= 9
    assert "<script>" not in text and "<img" not in text and "onerror=alert" not in text.replace("x onerror=", "")


async def test_no_page_has_inline_script_or_style(server: Server) -> None:
    server.reads.events = [event()]
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "completion", 3, "147")]
    for path in ("/dashboard", "/login", "/nothing"):
        headers = server.signed_in() if path == "/dashboard" else {}
        _, _, text = await server.get(path, **headers)
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)
        assert set(re.findall(r'(?:src|href|action)="([^"/#][^"]*)"', text)) == set()


async def test_every_answer_has_the_security_headers(server: Server) -> None:
    for path in (
        "/dashboard",
        "/login",
        "/nothing",
        "/",
        "/api/dashboard/stats",
        "/livez",
        server.site.files.url("rev.css"),
    ):
        _, headers, _ = await server.get(path)
        assert {name: headers.get(name) for name in SECURITY} == SECURITY
        assert "unsafe" not in headers["Content-Security-Policy"]


async def test_static_files_are_kept_under_the_address_of_their_content(server: Server) -> None:
    url = server.site.files.url("rev.css")
    status, headers, text = await server.get(url)
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert headers["Content-Encoding"] == "gzip" and "--accent" in text
    status, headers, _ = await server.get("/static/000000000000/rev.css")
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    for name in ("nothing.css", "..%2f__init__.py", "%2e%2e"):
        assert (await server.get(f"/static/{server.site.files.version}/{name}"))[0] == 404


async def test_every_route_admits_its_audience_alone(server: Server) -> None:
    """Made from the table of routes: nobody reaches what is the owner's."""
    paths = {route.path for route in table()}
    assert {"/dashboard", "/login", "/logout", "/api/dashboard/stats"} <= paths
    for route in table():
        path = re.sub(r"\{\w+\}", "1", route.path.replace("{version}", "x").replace("{name}", "rev.css"))
        status, headers, _ = await server.send(route.method, path, {} if route.method == "POST" else None)
        login = "/portal/login" if route.audience is Audience.PORTAL else "/login"
        refused = status in (401, 403) or (status == 303 and headers["Location"].startswith(f"{login}?next="))
        # these begin a session or make a key: a form that was not asked for is refused
        is_door = route.path in ("/login", "/signup", "/portal/login", "/portal/enter")
        is_refused_door = is_door and (route.method == "POST" or route.path == "/portal/enter")
        assert refused == (route.audience is not Audience.EVERYONE or is_refused_door), route.path


async def test_the_owner_without_a_session_is_sent_to_the_login_and_back(server: Server) -> None:
    status, headers, _ = await server.get("/dashboard?period=7d")
    assert (status, headers["Location"]) == (303, "/login?next=/dashboard%3Fperiod%3D7d")


async def test_the_period_of_a_page_is_checked(server: Server) -> None:
    status, _, text = await server.get("/dashboard?period=90d", **server.signed_in())
    assert status == 400 and "period must be one of 24h, 7d, 30d" in text


async def test_probes_say_what_is_away(serving: Callable[..., Any]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        server = await serving(REV_GATEWAY_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        server.reads.available = False
        await check_probes(server)


async def check_probes(server: Server) -> None:
    status, _, text = await server.get("/readyz")
    assert status == 200 and "clickhouse: no answer" in text and "gateway: no answer" in text
    assert (await server.get("/livez"))[0] == 200
    assert "rev_web_request_seconds_bucket" in (await server.get("/metrics"))[2]
