"""/audit: every change of keys, prices, customers and webhooks and every void, newest first."""

import re

from aiohttp import hdrs, web

from warehouse.rows import MAX_ID
from warehouse.time_range import LAST
from web import filters, readings
from web.routes import Audience, WebRoute
from web.views.audit_view import audit_line
from web.visits import Visit
from web.web_refusals import invalid

PATH = "/audit"
LIST = 50
_PLACE = re.compile(r"(\d{1,13})\.(\d{1,19})", re.ASCII)


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _trail)]


async def _trail(visit: Visit) -> web.Response:
    given = visit.query((*filters.AUDIT_FILTERS, "before"))
    only = filters.audit_filter(given)
    rows = await visit.site.ledger.audit(place(given.get("before")), LIST + 1, only)
    lines = [audit_line(row) for row in rows[:LIST]]
    chosen = {key: given.get(key, "") for key in filters.AUDIT_FILTERS}
    last = filters.position(lines[-1].at, lines[-1].id) if len(rows) > LIST else ""
    names = await readings.names(visit.site.reads, {line.customer_id for line in lines})
    return visit.page(
        "audit.html",
        lines=lines,
        names=names,
        following=f"{PATH}?{filters.query_string(chosen, before=last)}" if last else "",
        given=chosen,
        chosen=sum(map(bool, chosen.values())),
        abouts={"": "any", **filters.ABOUT},
        query=filters.query_string(chosen),
    )


def place(given: str | None) -> tuple[int, int]:
    """Return the place (ms, event id) that a page begins before; without one, after everything. Raises Refusal."""
    if given is None:
        return LAST, MAX_ID
    found = _PLACE.fullmatch(given)
    if found is None or int(found[1]) > LAST or int(found[2]) > MAX_ID:
        raise invalid("before must be a place that this page linked to")
    return int(found[1]), int(found[2])
