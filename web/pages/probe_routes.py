"""/livez, /readyz and /metrics of `rev web`."""

import asyncio

import msgspec
from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from warehouse.errors import ReadsUnavailable
from web.routes import Audience, WebRoute
from web.site import WebSite
from web.visits import Visit
from web.web_refusals import Refusal

PATIENCE = 0.5
"""Seconds that ClickHouse and the gateway have to answer; callers of /readyz wait 2 s."""


class WebReadiness(msgspec.Struct, frozen=True):
    """Always ready: without its neighbours it still says what is away. ``degraded``: what is."""

    ready: bool
    reasons: list[str]
    degraded: list[str]


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    get, everyone = hdrs.METH_GET, Audience.EVERYONE
    return [
        WebRoute(get, "/livez", everyone, _livez),
        WebRoute(get, "/readyz", everyone, _readyz),
        WebRoute(get, "/metrics", everyone, _metrics),
    ]


async def _livez(visit: Visit) -> web.Response:
    return visit.json(WebReadiness(True, [], []))


async def _readyz(visit: Visit) -> web.Response:
    lacking = await asyncio.gather(_clickhouse(visit.site), _gateway(visit.site))
    return visit.json(WebReadiness(True, [], [reason for reason in lacking if reason]))


async def _metrics(visit: Visit) -> web.Response:
    return web.Response(body=generate_latest(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


async def _clickhouse(site: WebSite) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await site.reads.ready()
    except (ReadsUnavailable, TimeoutError):
        return "clickhouse: no answer"
    return ""


async def _gateway(site: WebSite) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await site.api.call(hdrs.METH_GET, "/livez")
    except (Refusal, TimeoutError):
        return "gateway: no answer"
    return ""
