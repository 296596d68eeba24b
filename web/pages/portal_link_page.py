"""/customers/{customer_id}/portal-link: the owner makes a link that opens a customer's portal for a limited time."""

from urllib.parse import quote, urlencode

from aiohttp import hdrs, web

from schemas.limits import DAY, HOUR
from web.routes import Audience, WebRoute
from web.session_cookie import MODES, PortalLink
from web.visits import PORTAL, Visit
from web.web_refusals import invalid

LIFETIMES = {"1h": "1 hour", "1d": "1 day", "7d": "7 days", "30d": "30 days"}
_MS = {"1h": HOUR, "1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_POST, "/customers/{customer_id}/portal-link", Audience.OWNER, _make)]


async def _make(visit: Visit) -> web.Response:
    form = await visit.form()
    lifetime, mode = form.get("lifetime", ""), form.get("mode", "")
    if lifetime not in LIFETIMES:
        raise invalid(f"lifetime must be one of {', '.join(LIFETIMES)}")
    if mode not in MODES:
        raise invalid(f"mode must be one of {', '.join(MODES)}")
    id = quote(visit.request.match_info["customer_id"], safe="")
    customer = await visit.site.api.call("GET", f"/api/admin/customers/{id}")
    link = PortalLink(customer["customer_id"], MODES[mode], visit.site.clock() + _MS[lifetime])
    query = urlencode({"link": visit.site.signer.portal_link(link)})
    return visit.page(
        "portal_link.html",
        201,
        link=link,
        whose=customer["name"] or customer["customer_id"],
        address=f"{visit.address}{PORTAL}/enter?{query}",
    )
