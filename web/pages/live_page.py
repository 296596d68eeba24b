"""/dashboard/live: a stream of server-sent events with what was just metered, for the overview and for /events."""

from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from schemas.money import parse_cents
from warehouse.dashboard_rows import LatelyRow
from warehouse.rows import EventRow
from web.broadcast import frame
from web.routes import Audience, WebRoute
from web.templating import Templates
from web.views.event_lines import event_lines
from web.visits import Visit

PATH = "/dashboard/live"


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _live)]


def drawn(templates: Templates, rows: Sequence[EventRow], names: Mapping[str, str], lately: LatelyRow) -> bytes:
    """Return the frames of these events and of the last minute's sums."""
    lines = event_lines(rows, names)
    minute = templates.render("live_minute.html", events=lately.events, total=parse_cents(lately.total))
    made = frame("minute", minute)
    return made + frame("events", templates.render("live_events.html", lines=lines)) if lines else made


async def _live(visit: Visit) -> web.StreamResponse:
    visit.query(())
    return await visit.stream(visit.site.feed.listen, visit.site.feed.leave)
