"""/portal/invoices: a customer's own invoices, each with its lines and as a PDF. Nothing can be changed here.

Test entries are never invoiced, so a test session has none.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from web import filters
from web.invoice_readings import INVOICES
from web.pages import invoice_page
from web.pages.invoices_page import LIST
from web.routes import Audience, WebRoute
from web.views import invoice_view, invoices_view
from web.visits import PORTAL, Visit
from web.web_refusals import Refusal

PATH = PORTAL + "/invoices"


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    get, user = hdrs.METH_GET, Audience.PORTAL
    return [
        WebRoute(get, PATH, user, _list),
        WebRoute(get, PATH + "/{number}.pdf", user, _pdf),
        WebRoute(get, PATH + "/{number}", user, _one),
    ]


async def _list(visit: Visit) -> web.Response:
    cursor, user = visit.query(("cursor",)).get("cursor", ""), visit.portal
    page: Mapping[str, Any] = {"invoices": [], "next_cursor": None}
    if not user.test:
        asked = {"limit": str(LIST), "customer_id": user.customer_id, "cursor": cursor}
        page = await visit.site.api.call("GET", f"{INVOICES}?{filters.query_string(asked)}")
    following = page["next_cursor"]
    return visit.page(
        "portal_invoices.html",
        lines=invoices_view.invoice_lines(page["invoices"], {}, visit.site.clock()),
        following=f"{PATH}?{filters.query_string({'cursor': following})}" if following else "",
    )


async def _one(visit: Visit) -> web.Response:
    visit.query(())
    view = invoice_view.assemble(await _own(visit), visit.site.clock(), PORTAL)
    return visit.page("invoice.html", view=view, customer="", push=None, fields={}, problem="", done="")


async def _pdf(visit: Visit) -> web.Response:
    await _own(visit)
    return await invoice_page.send(visit, "pdf")


async def _own(visit: Visit) -> Mapping[str, Any]:
    """Return the invoice in the address; one of anyone else is as if it did not exist. Raises Refusal."""
    number, user = visit.request.match_info["number"], visit.portal
    absent = Refusal(404, "not_found", f"there is no invoice {number[:40]!r}")
    if user.test:
        raise absent
    shown: Mapping[str, Any] = await invoice_page.read(visit)
    if shown["invoice"]["customer_id"] != user.customer_id:
        raise absent
    return shown
