"""The reads of one customer's credit and budgets, for the owner's page and for its own portal."""

import asyncio
from urllib.parse import quote

from web.site import WebSite
from web.views import spending_view
from web.views.spending_view import SpendingView

CREDITS = "/api/admin/credits"
BUDGETS = "/api/admin/budgets"
MOST_GRANTS = 100


async def spending(site: WebSite, customer: str, test: bool) -> SpendingView:
    """Return what a customer may still spend in one mode. Raises Refusal or ReadsUnavailable."""
    id = quote(customer, safe="")
    balance, budgets, grants = await asyncio.gather(
        site.api.call("GET", f"{CREDITS}?customer_id={id}&mode={'test' if test else 'live'}"),
        site.api.call("GET", f"{BUDGETS}?customer_id={id}"),
        site.accounts.grants(customer, test, MOST_GRANTS),
    )
    return spending_view.assemble(balance, budgets["budgets"], grants, site.clock())
