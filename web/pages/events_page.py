"""/events: the list with its filters and its export; /events/{event_id}: one event, and the form that voids it."""

import asyncio
import re
from collections.abc import Sequence

from aiohttp import hdrs, web

from schemas.ids import outcome_id
from schemas.limits import HOUR
from schemas.table_files import TYPES
from warehouse.activity import ActivityReads
from warehouse.activity_rows import BOTH, EventSearch, FullEntryRow, OutcomeSearch, OutcomeStateRow, PriceSetRow
from warehouse.rows import EventRow
from web import event_export, filters, readings
from web.routes import Audience, WebRoute
from web.site import WebSite
from web.views import event_view
from web.views.event_lines import event_lines
from web.views.event_view import EventView
from web.visits import Visit
from web.void_forms import void
from web.web_refusals import Refusal

PATH = "/events"
PAGE = 50
LATELY = 6 * HOUR
"""How far back a page is first looked for; most of the table is older."""
OPENS_OUTCOME = ("registered", "charge", "waived")


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner = Audience.OWNER
    return [
        WebRoute(hdrs.METH_GET, PATH, owner, _list),
        *(WebRoute(hdrs.METH_GET, f"{PATH}.{kind}", owner, _export) for kind in TYPES),
        WebRoute(hdrs.METH_GET, PATH + "/{event_id}", owner, _one),
        WebRoute(hdrs.METH_POST, PATH + "/{event_id}/void", owner, _void),
    ]


async def found(reads: ActivityReads, search: EventSearch, now: int) -> list[EventRow]:
    """Return a page of a search: of the hours before its position, or, if these hold too few, of all time."""
    rows = await reads.events(search, min(now, search.before[0]) - LATELY)
    return rows if len(rows) == search.limit else await reads.events(search)


async def _list(visit: Visit) -> web.Response:
    given = visit.query((*filters.EVENT_FILTERS, filters.CURSOR))
    return await show(visit, given, filters.event_search(given, PAGE + 1), filters.EVENT_FILTERS)


async def show(visit: Visit, given: filters.Given, search: EventSearch, known: Sequence[str]) -> web.Response:
    """Return a page of a list; ``known``: its filters, ``given``: what the URL has."""
    reads = visit.site.activity
    rows = await found(reads, search, visit.site.clock())
    here = rows[:PAGE]
    voided, names = await asyncio.gather(
        reads.voided([row.event_id for row in here if row.kind == "event"]),
        readings.names(visit.site.reads, [row.customer_id for row in here]),
    )
    last = filters.position(here[-1].recorded_at, here[-1].event_id) if len(rows) > PAGE else ""
    chosen = {key: value for key, value in given.items() if value and key != filters.CURSOR}
    return visit.page(
        "events.html",
        lines=event_lines(here, names, voided),
        given={key: chosen.get(key, "") for key in known},
        chosen=len(chosen),
        times={key: filters.field_value(filters.moment(given, key)) for key in ("from", "to")},
        is_later=filters.CURSOR in given,
        is_live=not chosen and filters.CURSOR not in given and visit.user is None,
        next_query=filters.query_string(chosen, **{filters.CURSOR: last}) if last else "",
        query=filters.query_string(chosen),
    )


async def _export(visit: Visit) -> web.StreamResponse:
    search = filters.event_search(visit.query(filters.EVENT_FILTERS), event_export.PAGE)
    return await send(visit, search)


async def send(visit: Visit, search: EventSearch) -> web.StreamResponse:
    """Send the events of a search as the file that the address ends with."""
    kind = visit.request.path.rpartition(".")[2]
    pieces = event_export.pieces(visit.site.activity, search, kind)
    return await visit.file(f"events.{kind}", TYPES[kind], pieces)


async def _one(visit: Visit) -> web.Response:
    given = visit.query(("voided",))
    site = visit.site
    id = event_id_of(visit)
    row = await site.activity.entry(id)
    if row is None or row.kind == "config":
        raise no_event(id)
    if row.kind == "void" and row.original is not None:
        return visit.see(f"{PATH}/{row.original}")
    if row.kind in OPENS_OUTCOME:
        return visit.see(f"/outcomes/{row.outcome_id}")
    return visit.page("event.html", view=await read(site, row), is_voided_now="voided" in given)


async def read(site: WebSite, row: FullEntryRow) -> EventView:
    """Return the view of a priced or rejected event. Raises ReadsUnavailable."""
    related, price_set, outcomes, raw, names = await asyncio.gather(
        site.activity.related(row),
        _price_set(site.activity, row),
        _outcome(site.activity, row, site.clock()),
        site.activity.entry_text(row),
        readings.names(site.reads, [row.customer_id]),
    )
    return event_view.assemble(row, related, price_set, outcomes, names, raw)


async def _void(visit: Visit) -> web.Response:
    id = event_id_of(visit)
    await void(visit, f"/api/admin/events/{id}/void")
    return visit.see(f"{PATH}/{id}?voided=1")


def event_id_of(visit: Visit) -> int:
    """Return the event id in the path. Raises Refusal."""
    text = visit.request.match_info["event_id"]
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text, re.ASCII) or int(text) >= 2**53:
        raise no_event(text)
    return int(text)


def no_event(id: int | str) -> Refusal:
    """Return the 404 of an event id."""
    return Refusal(404, "not_found", f"There is no event {str(id)[:40]!r}, or the ledger does not have it yet.")


async def _price_set(reads: ActivityReads, row: FullEntryRow) -> PriceSetRow | None:
    return await reads.price_set(row.price_id) if row.price_id else None


async def _outcome(reads: ActivityReads, row: FullEntryRow, now: int) -> OutcomeStateRow | None:
    if row.outcome != "pending" or row.kind != "event":
        return None
    rows = await reads.outcomes(OutcomeSearch(now, outcome_id=outcome_id(row.event_id), tests=BOTH, limit=1))
    return rows[0] if rows else None
