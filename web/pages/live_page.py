"""/dashboard/live: a stream of server-sent events with what was just metered, for the overview and for /events."""

import asyncio
from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from schemas.money import parse_cents
from warehouse.dashboard_rows import LatelyRow
from warehouse.rows import EventRow
from web.live_feed import frame
from web.routes import Audience, WebRoute
from web.templating import Templates
from web.views.event_lines import event_lines
from web.visits import Visit

PATH = "/dashboard/live"
LASTS = 600.0
"""Seconds after which a stream ends, so that the browser connects again and shows that its session still holds."""
AGAIN = b"retry: 2000\n\n"
HEADERS = {hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}


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
    request, feed = visit.request, visit.site.feed

    def drop() -> None:
        if request.transport is not None:
            request.transport.abort()

    listener = feed.listen(drop)
    response = web.StreamResponse(headers=HEADERS)
    try:
        async with asyncio.timeout(LASTS):
            await response.prepare(request)
            await response.write(AGAIN)
            async for one in listener.frames():
                await response.write(one)
    except (ConnectionError, TimeoutError):
        pass  # the browser went away, or connects again
    finally:
        feed.leave(listener)
    return response
