"""GET /api/dashboard/live: what was just metered, as server-sent events with JSON, for programs."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import hdrs, web

from schemas.objects import Number, iso, number
from warehouse.rows import EventRow
from web.broadcast import frame
from web.routes import Audience, WebRoute
from web.visits import Visit

PATH = "/api/dashboard/live"
_encode = msgspec.json.Encoder().encode


class LiveEvent(msgspec.Struct, frozen=True):
    """A priced meter event. ``task``: its task_id.

    ``endpoint`` and ``latency_ms`` are null: the stream is read from the ledger, which does not know how an event
    came in or how long its answer took. /api/demo/live, whose agent makes the calls itself, has both.
    """

    event_id: int
    customer_id: str
    agent_id: str
    action: str
    task: str | None
    billed_cents: Number
    created_at: str
    kind: str = "meter"
    endpoint: str | None = None
    status: str = "priced"
    latency_ms: int | None = None


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.DASHBOARD, _live)]


def drawn(rows: Sequence[EventRow], names: Mapping[str, str], run_rate: object) -> bytes:
    """Return a frame for each of these events, which are newest first; the oldest of them comes first."""
    return b"".join(frame("event", _encode(_shown(row)).decode()) for row in reversed(rows))


def _shown(row: EventRow) -> LiveEvent:
    return LiveEvent(
        event_id=row.event_id,
        customer_id=row.customer_id,
        agent_id=row.agent_id,
        action=row.action,
        task=row.task_id or None,
        billed_cents=number(row.total),
        created_at=iso(row.recorded_at),
    )


async def _live(visit: Visit) -> web.StreamResponse:
    visit.query(())
    return await visit.stream(visit.site.events.listen, visit.site.events.leave)
