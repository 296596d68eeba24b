"""/portal: what a customer sees of itself: usage, events with their prices explained, outcomes, webhooks, credit
and prices.

Every read names the customer and the mode of the session. Nothing can be changed here.
"""

import asyncio

from aiohttp import hdrs, web

from schemas.ids import outcome_id
from schemas.table_files import TYPES
from warehouse.activity_rows import FullEntryRow, OutcomeSearch
from warehouse.time_range import named
from web import customer_readings, event_export, filters, periods
from web.pages import events_page, outcomes_page, price_lists, webhooks_page
from web.routes import Audience, WebRoute
from web.spending_readings import spending
from web.views import customers_view, event_view, outcomes_view
from web.visits import PORTAL, Visit

EVENTS, OUTCOMES = PORTAL + "/events", PORTAL + "/outcomes"
EVENT_FILTERS = tuple(name for name in filters.EVENT_FILTERS if name not in ("customer", "mode"))
OUTCOME_FILTERS = tuple(name for name in filters.OUTCOME_FILTERS if name not in ("customer", "mode"))


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    get, user = hdrs.METH_GET, Audience.PORTAL
    return [
        WebRoute(get, PORTAL, user, _overview),
        WebRoute(get, EVENTS, user, _events),
        *(WebRoute(get, f"{EVENTS}.{kind}", user, _export) for kind in TYPES),
        WebRoute(get, EVENTS + "/{event_id}", user, _event),
        WebRoute(get, OUTCOMES, user, _outcomes),
        WebRoute(get, OUTCOMES + "/{outcome_id}", user, _outcome),
        WebRoute(get, f"{PORTAL}/webhooks", user, _webhooks),
        WebRoute(get, f"{PORTAL}/webhooks/{{webhook_id}}", user, _webhook),
        WebRoute(get, f"{PORTAL}/spending", user, _spending),
        WebRoute(get, f"{PORTAL}/prices", user, _prices),
    ]


async def _overview(visit: Visit) -> web.Response:
    user, now = visit.portal, visit.site.clock()
    period = periods.checked(visit.query(("period",)).get("period"))
    rows = await customer_readings.usage(visit.site, user.customer_id, user.test, period, now)
    view = customers_view.assemble(period, named(period, now), rows, total="Charged")
    return visit.page("portal_overview.html", view=view, periods=periods.PERIODS)


async def _events(visit: Visit) -> web.Response:
    user, given = visit.portal, visit.query((*EVENT_FILTERS, filters.CURSOR))
    search = filters.event_search(given, events_page.PAGE + 1)
    search = search._replace(customer=user.customer_id, tests=(int(user.test),))
    return await events_page.show(visit, given, search, EVENT_FILTERS)


async def _export(visit: Visit) -> web.StreamResponse:
    user = visit.portal
    search = filters.event_search(visit.query(EVENT_FILTERS), event_export.PAGE)
    search = search._replace(customer=user.customer_id, tests=(int(user.test),))
    return await events_page.send(visit, search)


async def _event(visit: Visit) -> web.Response:
    visit.query(())
    id = events_page.event_id_of(visit)
    row = await _own_entry(visit, id)
    if row is None or row.kind == "config":
        raise events_page.no_event(id)
    if row.kind == "void" and row.original is not None:
        return visit.see(f"{EVENTS}/{row.original}")
    if row.kind in events_page.OPENS_OUTCOME:
        return visit.see(f"{OUTCOMES}/{row.outcome_id}")
    view = await events_page.read(visit.site, row)
    return visit.page("event.html", view=event_view.for_customer(view), is_voided_now=False)


async def _outcomes(visit: Visit) -> web.Response:
    user, given = visit.portal, visit.query((*OUTCOME_FILTERS, filters.CURSOR))
    search = filters.outcome_search(given, visit.site.clock(), outcomes_page.PAGE + 1)
    search = search._replace(customer=user.customer_id, tests=(int(user.test),))
    return await outcomes_page.show(visit, given, search, OUTCOME_FILTERS)


async def _outcome(visit: Visit) -> web.Response:
    visit.query(())
    user, activity = visit.portal, visit.site.activity
    id = outcomes_page.outcome_id_of(visit)
    opened = await _own_entry(visit, int(id.removeprefix("oc_")))
    if opened is None or outcome_id(opened.event_id) != id:
        raise outcomes_page.no_outcome(id)
    search = OutcomeSearch(
        visit.site.clock(), customer=user.customer_id, outcome_id=id, tests=(int(user.test),), limit=1
    )
    rows, related = await asyncio.gather(activity.outcomes(search), activity.related(opened))
    if not rows:
        raise outcomes_page.no_outcome(id)
    view = outcomes_view.assemble(rows[0], related, {})
    return visit.page("outcome.html", view=outcomes_view.for_customer(view), is_voided_now=False)


async def _webhooks(visit: Visit) -> web.Response:
    visit.query(())
    user = visit.portal
    every = await visit.site.api.whole_list(webhooks_page.API, "webhooks", customer_id=user.customer_id)
    return await webhooks_page.show(visit, [one for one in every if webhooks_page.is_own(one, user)])


async def _webhook(visit: Visit) -> web.Response:
    given = visit.query(("after",))
    id = visit.number("webhook_id")
    shown = await visit.site.api.call("GET", f"{webhooks_page.API}/{id}")
    if not webhooks_page.is_own(shown, visit.portal):
        raise webhooks_page.no_webhook(id)
    return await webhooks_page.show_one(visit, shown, given.get("after", ""))


async def _spending(visit: Visit) -> web.Response:
    visit.query(())
    user = visit.portal
    return visit.page("portal_spending.html", view=await spending(visit.site, user.customer_id, user.test))


async def _prices(visit: Visit) -> web.Response:
    visit.query(())
    rows = await price_lists.with_scheduled(visit.site.api)
    customer = visit.portal.customer_id
    own, default = price_lists.of_customer([row for row in rows if not row.scheduled], customer)
    later = price_lists.of_customer([row for row in rows if row.scheduled], customer)
    return visit.page("portal_prices.html", own=own, default=default, scheduled=[*later[0], *later[1]])


async def _own_entry(visit: Visit, id: int) -> FullEntryRow | None:
    """Return an entry of this customer and mode; one of anyone else is as if it did not exist."""
    row = await visit.site.activity.entry(id)
    user = visit.portal
    return row if row is not None and (row.customer_id, row.test) == (user.customer_id, user.test) else None
