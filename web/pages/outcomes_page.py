"""/outcomes: open ones by their deadline, closed ones; /outcomes/{outcome_id}: one, and the void of its charge."""

import asyncio
import re
from collections.abc import Sequence

from aiohttp import hdrs, web

from schemas.money import parse_cents
from warehouse.activity_rows import BOTH, CLOSED, OPEN, OutcomeSearch
from warehouse.rows import UsageQuery
from warehouse.time_range import EVER
from web import filters, readings
from web.routes import Audience, WebRoute
from web.views import outcomes_view
from web.visits import Visit
from web.void_forms import void
from web.web_refusals import Refusal

PATH = "/outcomes"
PAGE = 50


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner = Audience.OWNER
    return [
        WebRoute(hdrs.METH_GET, PATH, owner, _list),
        WebRoute(hdrs.METH_GET, PATH + "/{outcome_id}", owner, _one),
        WebRoute(hdrs.METH_POST, PATH + "/{outcome_id}/void", owner, _void),
    ]


async def _list(visit: Visit) -> web.Response:
    given = visit.query((*filters.OUTCOME_FILTERS, filters.CURSOR))
    return await show(
        visit, given, filters.outcome_search(given, visit.site.clock(), PAGE + 1), filters.OUTCOME_FILTERS
    )


async def show(visit: Visit, given: filters.Given, search: OutcomeSearch, known: Sequence[str]) -> web.Response:
    """Return a page of a list; ``known``: its filters, ``given``: what the URL has."""
    both = not given.get("status")
    # without a status the page has both parts, each with its first lines
    groups = (OPEN, CLOSED) if both else (search.states,)
    pages = await asyncio.gather(*(visit.site.activity.outcomes(search._replace(states=states)) for states in groups))
    customers = [row.customer_id for rows in pages for row in rows]
    names, (pending, at_stake) = await asyncio.gather(readings.names(visit.site.reads, customers), _open(visit, search))
    chosen = {key: value for key, value in given.items() if value and key != filters.CURSOR}
    lists = []
    for states, rows in zip(groups, pages, strict=True):
        here = rows[:PAGE]
        changes = {filters.CURSOR: filters.position(here[-1].place, here[-1].event_id)} if len(rows) > PAGE else {}
        if both:
            changes["status"] = "open" if states is OPEN else "closed"
        more = filters.query_string(chosen, **changes) if len(rows) > PAGE else ""
        lists.append((states == OPEN, [outcomes_view.outcome_line(row, names) for row in here], more))
    return visit.page(
        "outcomes.html",
        lists=lists,
        given={key: chosen.get(key, "") for key in known},
        chosen=len(chosen),
        is_later=filters.CURSOR in given,
        query=filters.query_string(chosen),
        states=list(filters.STATES),
        pending=pending,
        at_stake=at_stake,
    )


async def _open(visit: Visit, search: OutcomeSearch) -> tuple[int | None, int]:
    """Return how many outcomes are open and what they add, in pico-cents; of one customer the sum alone."""
    if visit.user is None:
        everyone = await visit.site.reads.pending(search.now)
        return everyone.outcomes, parse_cents(everyone.total)
    asked = UsageQuery(visit.portal.customer_id, visit.portal.test, EVER)
    return None, await visit.site.ledger.pending(asked, search.now)


async def _one(visit: Visit) -> web.Response:
    given = visit.query(("voided",))
    id = outcome_id_of(visit)
    site = visit.site
    rows = await site.activity.outcomes(OutcomeSearch(site.clock(), outcome_id=id, tests=BOTH, limit=1))
    opened = await site.activity.entry(int(id.removeprefix("oc_"))) if rows else None
    if opened is None:
        raise no_outcome(id)
    related, names = await asyncio.gather(
        site.activity.related(opened), readings.names(site.reads, [opened.customer_id])
    )
    view = outcomes_view.assemble(rows[0], related, names)
    return visit.page("outcome.html", view=view, is_voided_now="voided" in given)


async def _void(visit: Visit) -> web.Response:
    id = outcome_id_of(visit)
    await void(visit, f"/api/admin/outcomes/{id}/void")
    return visit.see(f"{PATH}/{id}?voided=1")


def no_outcome(id: str) -> Refusal:
    """Return the 404 of an outcome."""
    return Refusal(404, "not_found", f"There is no outcome {id[:40]!r}, or the ledger does not have it yet.")


def outcome_id_of(visit: Visit) -> str:
    """Return the outcome's id in the path. Raises Refusal."""
    text = visit.request.match_info["outcome_id"]
    if not re.fullmatch(r"oc_(0|[1-9][0-9]{0,15})", text, re.ASCII):
        raise Refusal(404, "not_found", f"There is no outcome {text[:40]!r}.")
    return text
