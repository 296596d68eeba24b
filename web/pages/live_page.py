"""/dashboard/live: a stream of server-sent events with what was just metered, for the overview and for /events."""

from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from schemas.money import parse_cents
from warehouse.rows import EventRow
from web import jumps
from web.broadcast import frame
from web.routes import Audience, WebRoute
from web.templating import Templates
from web.views import run_rate_view
from web.views.event_lines import event_lines
from web.views.run_rate_view import RunRate
from web.visits import Visit

PATH = "/dashboard/live"


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _live)]


def drawn(templates: Templates, rows: Sequence[EventRow], names: Mapping[str, str], run_rate: RunRate) -> bytes:
    """Return the frames of these events, of the last minute's sums, and of the card about the run rate."""
    lines, now = event_lines(rows, names), jumps.whole(run_rate.minute)
    minute = templates.render("live_minute.html", events=now.events, total=parse_cents(now.total))
    card = templates.render("live_run_rate.html", run_rate=run_rate_view.assemble(run_rate, names))
    made = frame("minute", minute) + frame("run-rate", card)
    return made + frame("events", templates.render("live_events.html", lines=lines)) if lines else made


async def _live(visit: Visit) -> web.StreamResponse:
    visit.query(())
    return await visit.stream(visit.site.feed.listen, visit.site.feed.leave)
