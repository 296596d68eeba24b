"""GET /api/dashboard/*: reads the ledger, answers with web.data.dashboard_data."""

import asyncio
import re
from collections.abc import Sequence

from aiohttp import hdrs, web

from schemas.limits import DEFAULT_LIST, MAX_LIST
from warehouse.dashboard_rows import RankedRow, RankKey, SeriesQuery
from warehouse.time_range import EVER, TimeRange, named, today
from web import periods, readings
from web.data import dashboard_data
from web.routes import Audience, PageHandler, WebRoute
from web.visits import Visit
from web.web_refusals import invalid

PATH = "/api/dashboard"
MOST_EVENTS = 100


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    handlers: dict[str, PageHandler] = {
        "stats": _stats,
        "revenue-by-agent": _by_agent,
        "revenue-by-customer": _by_customer,
        "revenue-by-action": _by_action,
        "recent-events": _recent,
        "revenue-over-time": _over_time,
        "outcomes": _outcomes,
        "signups": _signups,
    }
    return [
        WebRoute(hdrs.METH_GET, f"{PATH}/{name}", Audience.DASHBOARD, handler) for name, handler in handlers.items()
    ]


async def _stats(visit: Visit) -> web.Response:
    visit.query(())
    reads, now = visit.site.reads, visit.site.clock()
    ever, day, week, counts = await asyncio.gather(
        reads.totals(EVER), reads.totals(today(now)), reads.totals(named("7d", now)), reads.counts()
    )
    return visit.json(dashboard_data.stats(ever, day, week, counts))


async def _by_agent(visit: Visit) -> web.Response:
    period, rows = await _ranked(visit, "agent_id")
    return visit.json(dashboard_data.by_agent(period, rows))


async def _by_customer(visit: Visit) -> web.Response:
    period, rows = await _ranked(visit, "customer_id")
    names = await readings.names(visit.site.reads, [row.name for row in rows])
    return visit.json(dashboard_data.by_customer(period, rows, names))


async def _by_action(visit: Visit) -> web.Response:
    period, rows = await _ranked(visit, "action")
    return visit.json(dashboard_data.by_action(period, rows))


async def _ranked(visit: Visit, key: RankKey) -> tuple[str, Sequence[RankedRow]]:
    period, time = _period(visit)
    return period, await visit.site.reads.ranked(time, key, MAX_LIST)


async def _recent(visit: Visit) -> web.Response:
    text = visit.query(("limit",)).get("limit", str(DEFAULT_LIST))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST_EVENTS:
        raise invalid(f"limit must be an integer from 1 to {MOST_EVENTS}")
    rows = await readings.recent_events(visit.site.reads, visit.site.clock(), int(text))
    names = await readings.names(visit.site.reads, [row.customer_id for row in rows])
    return visit.json(dashboard_data.recent(rows, names))


async def _over_time(visit: Visit) -> web.Response:
    period, time = _period(visit)
    rows = await visit.site.reads.series(SeriesQuery(time.start, time.end, periods.bucket(period), "action", most=0))
    return visit.json(dashboard_data.over_time(period, time, rows))


async def _outcomes(visit: Visit) -> web.Response:
    period, time = _period(visit)
    rows = await visit.site.reads.outcomes(time, visit.site.clock())
    return visit.json(dashboard_data.outcomes(period, rows))


async def _signups(visit: Visit) -> web.Response:
    period, time = _period(visit)
    return visit.json(dashboard_data.signups(period, await visit.site.reads.signups(time)))


def _period(visit: Visit) -> tuple[str, TimeRange]:
    period = periods.checked(visit.query(("period",)).get("period"))
    return period, named(period, visit.site.clock())
