"""The actions that came in without a price, from the gateway's API."""

import structlog

from web.site import WebSite
from web.views.unpriced_view import UnpricedView, view_of
from web.web_refusals import Refusal

_log = structlog.get_logger("web")


async def unpriced(site: WebSite) -> UnpricedView | None:
    """Return them; None without any, or if the gateway does not answer, which is logged: no page fails for that."""
    try:
        answer = await site.api.call("GET", "/api/admin/unpriced")
    except Refusal as refusal:
        _log.warning("list of unpriced actions not read", error=str(refusal))
        return None
    view = view_of(answer, site.settings.unpriced == "accept")
    return view if view.lines else None
