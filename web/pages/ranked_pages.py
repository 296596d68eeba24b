"""/agents and /actions: the ranking of a period; with ?agent= or ?action=, one of them in full.

The name is a parameter, not a part of the path, since it may hold any character.
"""

import asyncio
from typing import Literal, NamedTuple

from aiohttp import hdrs, web

from warehouse.activity_rows import ComponentRow, EventSearch, SumsQuery
from warehouse.dashboard_rows import RankKey, SeriesQuery
from warehouse.time_range import TimeRange, named
from web import filters, periods, readings
from web.pages.events_page import found
from web.routes import Audience, PageHandler, WebRoute
from web.views import ranked_view
from web.views.ranked_view import OneRows
from web.visits import Visit

MOST = 100
"""Names in a ranking."""
STACKED = 6
"""Names with a colour of their own in the chart."""
PEERS = 6
EVENTS = 10


class Kind(NamedTuple):
    """What a page ranks. ``peer``: what its chart is stacked by."""

    parameter: Literal["agent", "action"]
    key: RankKey
    peer: RankKey
    path: str
    title: str
    peers: str
    peer_page: str


AGENTS = Kind(
    parameter="agent",
    key="agent_id",
    peer="action",
    path="/agents",
    title="Agents",
    peers="Actions",
    peer_page="/actions?action=",
)
ACTIONS = Kind(
    parameter="action",
    key="action",
    peer="agent_id",
    path="/actions",
    title="Actions",
    peers="Agents",
    peer_page="/agents?agent=",
)


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, kind.path, Audience.OWNER, _page(kind)) for kind in (AGENTS, ACTIONS)]


def _page(kind: Kind) -> PageHandler:
    async def handle(visit: Visit) -> web.Response:
        given = visit.query((kind.parameter, "period"))
        period = periods.checked(given.get("period"))
        name = filters.name(given, kind.parameter)
        return await (_one(visit, kind, period, name) if name else _ranking(visit, kind, period))

    return handle


async def _ranking(visit: Visit, kind: Kind, period: str) -> web.Response:
    now = visit.site.clock()
    time = named(period, now)
    rows = await visit.site.activity.sums(SumsQuery(kind.key, time, periods.before(time, now), MOST + 1))
    return visit.page(
        "ranked.html",
        kind=kind,
        lines=ranked_view.ranked(rows[:MOST]),
        is_cut=len(rows) > MOST,
        period=period,
        periods=periods.PERIODS,
    )


async def _one(visit: Visit, kind: Kind, period: str, name: str) -> web.Response:
    now = visit.site.clock()
    time = named(period, now)
    activity, reads = visit.site.activity, visit.site.reads
    agent, action = (name, "") if kind is AGENTS else ("", name)
    query = SumsQuery(kind.key, time, periods.before(time, now), 1, agent, action)
    series_query = SeriesQuery(time.start, time.end, periods.bucket(period), kind.peer, STACKED)
    sums, series, customers, peers, components, recent = await asyncio.gather(
        activity.sums(query),
        reads.series(series_query._replace(agent=agent, action=action)),
        activity.sums(query._replace(key="customer_id", most=PEERS)),
        activity.sums(query._replace(key=kind.peer, most=PEERS)),
        _components(visit, kind, name, time),
        found(activity, EventSearch(agent=agent, action=action, limit=EVENTS), now),
    )
    voided, names = await asyncio.gather(
        activity.voided([row.event_id for row in recent]),
        readings.names(reads, [row.name for row in customers] + [row.customer_id for row in recent]),
    )
    rows = OneRows(
        sums=sums,
        series=series,
        customers=customers,
        peers=peers,
        components=components,
        recent=recent,
        voided=voided,
        names=names,
    )
    return visit.page(
        "ranked_one.html",
        kind=kind,
        view=ranked_view.one(name, period, time, rows, kind.peer_page),
        period=period,
        periods=periods.PERIODS,
    )


async def _components(visit: Visit, kind: Kind, name: str, time: TimeRange) -> list[ComponentRow]:
    return await visit.site.activity.components(name, time) if kind is ACTIONS else []
