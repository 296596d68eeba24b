"""/webhooks: the endpoints of all customers with their health; one with every attempt, which can be replayed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web

from schemas.limits import DAY
from schemas.objects import iso
from warehouse.rows import DeliveryPosition
from web import filters, readings
from web.portal_access import PortalUser
from web.routes import Audience, WebRoute
from web.views import webhooks_view
from web.views.webhooks_view import NO_HEALTH
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = "/webhooks"
API = "/api/admin/webhooks"
LIST = 50
ATTEMPTS = 50
HEALTH = DAY
"""How far back an endpoint's health looks."""
NEWEST: DeliveryPosition = (2**53, 0, 0)
_POSITION = re.compile(r"([0-9]{1,16})\.([0-9]{1,5})\.([0-9]{1,18})", re.ASCII)


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner = Audience.OWNER
    return [
        WebRoute(hdrs.METH_GET, PATH, owner, _list),
        WebRoute(hdrs.METH_GET, PATH + "/{webhook_id}", owner, _one),
        WebRoute(hdrs.METH_POST, PATH + "/{webhook_id}/replay", owner, _replay),
    ]


async def _list(visit: Visit) -> web.Response:
    given = visit.query(("customer", "cursor"))
    customer, cursor = filters.name(given, "customer"), given.get("cursor", "")
    asked = {"limit": str(LIST), "customer_id": customer, "cursor": cursor}
    page = await visit.site.api.call("GET", f"{API}?{filters.query_string(asked)}")
    following = page["next_cursor"]
    more = filters.query_string({"customer": customer}, cursor=following) if following else ""
    return await show(visit, page["webhooks"], customer=customer, following=f"{PATH}?{more}" if more else "")


async def show(
    visit: Visit, shown: Sequence[Mapping[str, Any]], *, customer: str = "", following: str = ""
) -> web.Response:
    """Return the page of these endpoints, as the API shows them."""
    site = visit.site
    health = await site.webhooks.health([one["id"] for one in shown], site.clock() - HEALTH)
    names = await readings.names(site.reads, [one["customer_id"] for one in shown])
    lines = webhooks_view.webhook_lines(shown, health, names)
    return visit.page("webhooks.html", lines=lines, customer=customer, following=following)


async def _one(visit: Visit) -> web.Response:
    given = visit.query(("after", "done"))
    shown = await visit.site.api.call("GET", f"{API}/{visit.number('webhook_id')}")
    done = "Rev sends it again; the attempt shows here within a second or two." if "done" in given else ""
    return await show_one(visit, shown, given.get("after", ""), done)


async def show_one(visit: Visit, shown: Mapping[str, Any], after: str, done: str = "") -> web.Response:
    """Return the page of one endpoint with its attempts before the position ``after``."""
    site = visit.site
    id, customer = shown["id"], shown["customer_id"]
    health = await site.webhooks.health([id], site.clock() - HEALTH)
    names = await readings.names(site.reads, [customer])
    line = webhooks_view.webhook_line(shown, health.get(id, NO_HEALTH), names)
    rows = await site.ledger.deliveries(id, _position(after), ATTEMPTS + 1)
    here = rows[:ATTEMPTS]
    last = ".".join(map(str, here[-1].position)) if len(rows) > ATTEMPTS else ""
    return visit.page(
        "webhook.html",
        line=line,
        figures=webhooks_view.figures(line),
        attempts=[webhooks_view.attempt_line(row) for row in here],
        is_later=bool(after),
        following=f"{visit.request.path}?{urlencode({'after': last})}" if last else "",
        done=done,
    )


async def _replay(visit: Visit) -> web.Response:
    id, form = visit.number("webhook_id"), await visit.form()
    body = {}
    if form.get("delivery_id"):
        body["delivery_id"] = form["delivery_id"]
    since = filters.moment(form, "since")
    if since is not None:
        body["since"] = iso(since)
    if len(body) != 1:
        raise invalid("since is required: the time from which everything is sent again.")
    await visit.site.api.call("POST", f"{API}/{id}/replay", body)
    return visit.see(f"{PATH}/{id}?done=1")


def is_own(webhook: Mapping[str, Any], user: PortalUser) -> bool:
    """True if an endpoint, as the API shows it, is of this customer and mode."""
    return (webhook["customer_id"], webhook["test"]) == (user.customer_id, user.test)


def no_webhook(id: int) -> Refusal:
    """Return the 404 of an endpoint."""
    return Refusal(404, "not_found", f"There is no webhook {id}.")


def _position(text: str) -> DeliveryPosition:
    if not text:
        return NEWEST
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > 65535:
        raise invalid(f"after must be a position that a link of this list has, not {text[:100]!r}")
    return int(found[1]), int(found[2]), int(found[3])
