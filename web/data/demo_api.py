"""/api/demo: what the demo agent of the landing page does, and what it earned. For everyone, where REV_DEMO is 1."""

from aiohttp import hdrs, web

from schemas.money import format_cents, parse_cents
from schemas.objects import number
from warehouse.rows import UsageQuery
from warehouse.time_range import named
from web.demo_agent import CUSTOMER, DemoStats
from web.formats import dollars_text
from web.routes import Audience, WebRoute
from web.visits import Visit
from web.web_refusals import Refusal

STATS_KEPT = 5000
"""ms for which an answer is used again, so that visitors cost the ledger nothing."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    get, everyone = hdrs.METH_GET, Audience.EVERYONE
    return [
        WebRoute(get, "/api/demo/stats", everyone, _stats),
        WebRoute(get, "/api/demo/live", everyone, _live),
    ]


async def _stats(visit: Visit) -> web.Response:
    visit.query(())
    return visit.json(await stats(visit))


async def _live(visit: Visit) -> web.StreamResponse:
    visit.query(())
    _check_is_on(visit)
    return await visit.stream(visit.site.demo.listen, visit.site.demo.leave)


async def stats(visit: Visit) -> DemoStats:
    """Return what the demo earned, at most STATS_KEPT old. Raises Refusal where it is off, and ReadsUnavailable."""
    _check_is_on(visit)
    site, now = visit.site, visit.site.clock()
    kept = site.demo_stats.get("24h")
    if kept is None or now >= kept[0]:
        rows = await site.ledger.usage(UsageQuery(CUSTOMER, True, named("24h", now)), "action")
        earned = sum(parse_cents(row.total) for row in rows)
        made = DemoStats(sum(row.events for row in rows), number(format_cents(earned)), dollars_text(earned))
        kept = site.demo_stats["24h"] = (now + STATS_KEPT, made)
    return kept[1]


def _check_is_on(visit: Visit) -> None:
    if not visit.site.settings.demo:
        raise Refusal(404, "demo_off", "The demo is off on this server: REV_DEMO is not 1.")
