"""/invoices: what is receivable, what is about to be invoiced, what Stripe does not take, and all invoices."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from aiohttp import hdrs, web

from schemas.invoices import State
from web import filters, invoice_readings, readings
from web.invoice_readings import INVOICES, PUSHES
from web.routes import Audience, WebRoute
from web.views import invoices_view
from web.visits import Visit

PATH = "/invoices"
LIST = 50
MOST_PUSHES = 50
STATES: tuple[str, ...] = get_args(State)
KNOWN = ("state", "customer", "month", "cursor", "done")
DONE = {"push": "Rev brings it to Stripe now. It leaves this list when Stripe has it."}


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _list)]


async def _list(visit: Visit) -> web.Response:
    given = visit.query(KNOWN)
    chosen = {
        "state": filters.choice(given, "state", STATES),
        "customer": filters.name(given, "customer"),
        "month": given.get("month", ""),
    }
    cursor = given.get("cursor", "")
    asked = {"limit": str(LIST), "state": chosen["state"], "month": chosen["month"], "cursor": cursor}
    query = filters.query_string(asked, customer_id=chosen["customer"])
    page = await visit.site.api.call("GET", f"{INVOICES}?{query}")
    following = page["next_cursor"]
    is_first = not any(chosen.values()) and not cursor
    return visit.page(
        "invoices.html",
        lines=await _lines(visit, page["invoices"]),
        given=chosen,
        chosen=sum(map(bool, chosen.values())),
        query=filters.query_string(chosen),
        states={"": "any", **{state: state for state in STATES}},
        following=f"{PATH}?{filters.query_string(chosen, cursor=following)}" if following else "",
        done=DONE.get(given.get("done", ""), ""),
        is_first=is_first,
        **(await _summary(visit) if is_first else {}),
    )


async def _lines(visit: Visit, shown: Sequence[Mapping[str, Any]]) -> list[invoices_view.InvoiceLine]:
    names = await readings.names(visit.site.reads, [one["customer_id"] for one in shown])
    return invoices_view.invoice_lines(shown, names, visit.site.clock())


async def _summary(visit: Visit) -> dict[str, Any]:
    """Return what stands above the list of all invoices."""
    api, now = visit.site.api, visit.site.clock()
    final, drafts, pushes = await asyncio.gather(
        invoice_readings.in_state(api, "final"), invoice_readings.in_state(api, "draft"), api.call("GET", PUSHES)
    )
    shown = pushes["pushes"][:MOST_PUSHES]
    names = await readings.names(visit.site.reads, [one["customer_id"] for one in shown])
    return {
        "receivables": invoices_view.receivables(final.invoices, now),
        "counted": len(final.invoices),
        "is_whole": final.whole,
        "awaited": invoices_view.awaited(drafts.invoices),
        "drafts_whole": drafts.whole,
        "pushes": invoices_view.push_lines(shown, names),
        "stripe": {name: pushes[name] for name in ("mode", "unsent", "refused")},
    }
