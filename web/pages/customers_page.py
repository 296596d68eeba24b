"""/customers: all customers with what they brought in; and one in full, where its name and test flag are changed."""

import asyncio
from urllib.parse import quote, urlencode

from aiohttp import hdrs, web

from warehouse.account_rows import CustomerQuery
from warehouse.time_range import DEFAULT_PERIOD, named
from web import customer_readings, invoice_readings, periods
from web.pages import keys_page, portal_link_page, price_lists
from web.routes import Audience, WebRoute
from web.views import customers_view
from web.views.customers_view import Profile
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = "/customers"
API = "/api/admin/customers"
LIST = 50
LONGEST_SEARCH = 256
LAST_PAGE = 20_000
MODES = {"live": "Live", "test": "Test"}


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _list),
        WebRoute(hdrs.METH_GET, PATH + "/{customer_id}", Audience.OWNER, _one),
        WebRoute(hdrs.METH_POST, PATH + "/{customer_id}", Audience.OWNER, _change),
    ]


def path_of(customer_id: str) -> str:
    """Return the address of a customer's page."""
    return f"{PATH}/{quote(customer_id, safe='')}"


async def _list(visit: Visit) -> web.Response:
    query = visit.query(("period", "q", "page"))
    period, search = periods.checked(query.get("period")), query.get("q", "").strip()[:LONGEST_SEARCH]
    number = _page_number(query.get("page", "1"))
    now, accounts = visit.site.clock(), visit.site.accounts
    time = named(period, now)
    asked = CustomerQuery(time, periods.before(time, now), search, LIST, (number - 1) * LIST)
    rows = await accounts.customers(asked)
    last = await accounts.last_events([row.id for row in rows])
    found = rows[0].found if rows else 0
    more = urlencode({"period": period, "q": search, "page": number + 1})
    return visit.page(
        "customers.html",
        lines=customers_view.customer_lines(rows, last),
        found=found,
        search_text=search,
        period=period,
        periods=periods.PERIODS,
        following=f"{PATH}?{more}" if number * LIST < found else "",
    )


async def _one(visit: Visit) -> web.Response:
    query = visit.query(("period", "mode", "done"))
    period = periods.checked(query.get("period"))
    shown = await _profile(visit)
    mode = query.get("mode") or ("test" if shown.test else "live")
    if mode not in MODES:
        raise invalid(f"mode must be one of {', '.join(MODES)}")
    return await _show(visit, shown, period, mode, done="Saved." if "done" in query else "")


async def _change(visit: Visit) -> web.Response:
    form = await visit.form()
    customer_id = visit.request.match_info["customer_id"]
    name = form.get("name", "").strip()
    # an absent name leaves the old one: the API has no way to take a name away
    body = {"name": name or None, "test": "test" in form}
    try:
        await visit.site.api.call("PATCH", f"{API}/{quote(customer_id, safe='')}", body)
    except Refusal as refusal:
        if refusal.status != 400:
            raise
        shown = (await _profile(visit))._replace(name=name)
        return await _show(visit, shown, DEFAULT_PERIOD, "test" if shown.test else "live", problem=refusal.sentence)
    return visit.see(f"{path_of(customer_id)}?done=1")


async def _profile(visit: Visit) -> Profile:
    path = f"{API}/{quote(visit.request.match_info['customer_id'], safe='')}"
    return customers_view.profile(await visit.site.api.call("GET", path))


async def _show(
    visit: Visit, shown: Profile, period: str, mode: str, *, problem: str = "", done: str = ""
) -> web.Response:
    site, now = visit.site, visit.site.clock()
    time = named(period, now)
    rows, billing, keys, prices = await asyncio.gather(
        customer_readings.usage(site, shown.id, mode == "test", period, now),
        invoice_readings.of_customer(site.api, shown.id, now),
        keys_page.every_key(site.api),
        price_lists.with_scheduled(site.api),
    )
    return visit.page(
        "customer.html",
        400 if problem else 200,
        shown=shown,
        view=customers_view.assemble(period, time, rows),
        keys=[key for key in keys if key.customer_id == shown.id],
        billing=billing,
        prices=[row for row in prices if row.slot.customer_id == shown.id],
        lifetimes=portal_link_page.LIFETIMES,
        here=path_of(shown.id),
        mode=mode,
        modes=MODES,
        periods=periods.PERIODS,
        problem=problem,
        done=done,
    )


def _page_number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LAST_PAGE and len(given) < 6):
        raise invalid(f"page must be an integer from 1 to {LAST_PAGE}")
    return int(given)
