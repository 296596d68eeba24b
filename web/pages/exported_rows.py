"""The rows of tables as files, in groups. In a visit of the portal they are the customer's own."""

import json
from collections.abc import Callable
from typing import Any

from schemas.money import parse_cents
from schemas.price_match import ANY
from schemas.table_files import Groups
from warehouse.account_rows import CustomerQuery
from warehouse.activity_rows import SumsQuery
from warehouse.dashboard_rows import RankKey, SeriesQuery
from warehouse.rows import MAX_ID
from warehouse.time_range import LAST, named
from web import exact_json, filters, periods, readings, replays
from web.data.replay_changes import changes_of, decoded
from web.data.replay_data import part
from web.exact_json import ms_or_none
from web.invoice_readings import INVOICES
from web.pages import keys_page, price_lists, webhooks_page
from web.replays import Scenario
from web.spending_readings import spending
from web.views import webhooks_view
from web.views.overview_view import BY
from web.views.price_rows import PriceRow
from web.views.spending_view import SpendingView
from web.visits import Visit
from web.web_refusals import invalid

PAGE = 2000
"""Rows read at once."""
MOST = 200_000
"""Rows of one file; a note ends a file that has no more room."""
MODES = ("live", "test")
INVOICE_AMOUNTS = (
    *("lines_cents", "credits_cents", "carried_in_cents", "total_cents", "carried_out_cents", "tax_cents"),
    *("amount_due_cents", "credited_cents", "paid_cents", "balance_cents"),
)
INVOICE_TIMES = ("created_at", "finalized_at", "due_at", "voided_at", "given_up_at")


async def customers(visit: Visit, given: dict[str, str]) -> Groups:
    period, now = periods.checked(given.get("period")), visit.site.clock()
    time = named(period, now)
    offset = 0
    while True:
        asked = CustomerQuery(time, periods.before(time, now), given.get("q", "").strip()[:256], PAGE, offset)
        rows = await visit.site.accounts.customers(asked)
        last = await visit.site.accounts.last_events([row.id for row in rows])
        yield [
            (row.id, row.name, row.test, row.metered, row.events, parse_cents(row.total), row.events_before,
             parse_cents(row.total_before), last.get(row.id))
            for row in rows
        ]  # fmt: skip
        offset += PAGE
        if len(rows) < PAGE:
            return


def ranked(key: RankKey) -> Callable[[Visit, dict[str, str]], Groups]:
    async def groups(visit: Visit, given: dict[str, str]) -> Groups:
        period, now = periods.checked(given.get("period")), visit.site.clock()
        time = named(period, now)
        rows = await visit.site.activity.sums(SumsQuery(key, time, periods.before(time, now), MOST + 1))
        yield [
            (row.name, row.events, row.charges, int(row.token_sum), parse_cents(row.total), parse_cents(row.before),
             row.succeeded, row.ended)
            for row in rows
        ]  # fmt: skip

    return groups


async def outcomes(visit: Visit, given: dict[str, str]) -> Groups:
    search = filters.outcome_search(given, visit.site.clock(), PAGE)
    if visit.user is not None:
        search = search._replace(customer=visit.user.customer_id, tests=(int(visit.user.test),))
    states = (search.states,) if given.get("status") else (filters.STATES["open"], filters.STATES["closed"])
    for some in states:
        here = search._replace(states=some)
        while True:
            rows = await visit.site.activity.outcomes(here)
            yield [
                (row.outcome_id, row.state, row.customer_id, row.agent_id, row.action, row.task_id or None,
                 row.opened_by, parse_cents(row.on_success), parse_cents(row.on_failure),
                 None if row.charge is None else parse_cents(row.charge), parse_cents(row.revenue), row.voided,
                 row.on_expiry or None, row.test, row.opened, row.due, row.ended)
                for row in rows
            ]  # fmt: skip
            if len(rows) < PAGE:
                break
            here = here._replace(after=(rows[-1].place, rows[-1].event_id))


async def prices(visit: Visit, given: dict[str, str]) -> Groups:
    api, user = visit.site.api, visit.user
    rows = await (price_lists.with_past(api) if given.get("history") == "1" else price_lists.with_scheduled(api))
    if user is not None:
        parts = ([row for row in rows if row.scheduled is later] for later in (False, True))
        rows = [row for some in parts for found in price_lists.of_customer(some, user.customer_id) for row in found]
    if search := given.get("q", "").strip():
        names = await readings.names(visit.site.reads, {row.slot.customer_id or "" for row in rows})
        rows = price_lists.found(rows, search, names)
    yield [_price(row) for row in rows]


def _price(row: PriceRow) -> tuple[Any, ...]:
    rates = {one.name: f"{one.words}" for one in row.rates}
    steps = {one.name: one.words for one in row.tiers}
    slot = row.slot
    return (
        *(row.id, slot.customer_id, None if slot.action == ANY else slot.action, slot.model, slot.provider),
        *(row.base, row.token, row.bonus, json.dumps(rates) if rates else None, json.dumps(steps) if steps else None),
        *(("volume" if row.is_volume else "graduated") if steps else None, row.minimum, row.cap),
        *(row.ignore_unknown, row.is_active, row.scheduled, row.effective_at, row.created_at, row.ended_at),
    )


async def keys(visit: Visit, given: dict[str, str]) -> Groups:
    customer = given.get("customer", "")
    keys = [key for key in await keys_page.every_key(visit.site.api) if customer in ("", key.customer_id)]
    yield [
        (key.id, key.mask, key.customer_id, key.customer, key.is_active, key.test, key.created, key.used)
        for key in keys
    ]


async def audit(visit: Visit, given: dict[str, str]) -> Groups:
    before, only = (LAST, MAX_ID), filters.audit_filter(given)
    while True:
        rows = await visit.site.ledger.audit(before, PAGE, only)
        yield [(row.event_id, row.type, row.actor, row.recorded_at, row.detail) for row in rows]
        if len(rows) < PAGE:
            return
        before = (rows[-1].recorded_at, rows[-1].event_id)


async def signups(visit: Visit, given: dict[str, str]) -> Groups:
    rows = await visit.site.reads.signups(named(periods.checked(given.get("period")), visit.site.clock()))
    yield [(row.source or None, row.medium or None, row.campaign or None, row.signups) for row in rows]


async def usage(visit: Visit, given: dict[str, str]) -> Groups:
    """Yield what was charged by hour or day, and by name: everything that the chart stacks, and what it sums up."""
    period, now, user = periods.checked(given.get("period")), visit.site.clock(), visit.user
    by, time = filters.choice(given, "by", tuple(BY)) or "action", named(period, now)
    is_of_one = user is not None or given.get("customer") or given.get("mode")
    customer, is_test = _whose(visit, given) if is_of_one else ("", False)
    every = SeriesQuery(time.start, time.end, periods.bucket(period), BY[by], MOST)
    query = every._replace(customer=customer, test=is_test)
    yield [(row.start, row.name, row.events, parse_cents(row.total)) for row in await visit.site.reads.series(query)]


async def components(visit: Visit, given: dict[str, str]) -> Groups:
    action = filters.name(given, "action")
    if not action:
        raise invalid("action is required")
    rows = await visit.site.activity.components(action, named(periods.checked(given.get("period")), visit.site.clock()))
    yield [(row.component, row.units, parse_cents(row.total)) for row in rows]


async def invoices(visit: Visit, given: dict[str, str]) -> Groups:
    """Yield invoices, the latest month first. Test entries are never invoiced."""
    user, cursor = visit.user, ""
    if user is not None and user.test:
        yield []
        return
    asked = {"state": given.get("state", ""), "month": given.get("month", "")}
    asked |= {"customer_id": filters.name(given, "customer") if user is None else user.customer_id}
    while True:
        query = filters.query_string({**asked, "limit": "1000", "cursor": cursor})
        page = await visit.site.api.call("GET", f"{INVOICES}?{query}")
        yield [
            (
                *(one["number"], one["customer_id"], one["month"], one["state"], one["currency"], one["entries"]),
                *(exact_json.pico_of(one[name]) for name in INVOICE_AMOUNTS),
                *(ms_or_none(one[name]) for name in INVOICE_TIMES),
            )
            for one in page["invoices"]
        ]
        cursor = page["next_cursor"]
        if not cursor:
            return


async def webhooks(visit: Visit, given: dict[str, str]) -> Groups:
    site, user = visit.site, visit.user
    customer = filters.name(given, "customer") if user is None else user.customer_id
    asked = {"customer_id": customer} if customer else {}
    shown = await site.api.whole_list(webhooks_page.API, "webhooks", **asked)
    if user is not None:
        shown = [one for one in shown if webhooks_page.is_own(one, user)]
    health = await site.webhooks.health([one["id"] for one in shown], site.clock() - webhooks_page.HEALTH)
    yield [
        (
            *(one.id, one.customer_id, one.url, ", ".join(one.events), one.state, one.why or None, one.test),
            *(one.health.attempts, one.health.delivered, one.health.dead),
            *(one.health.latency if one.health.delivered else None, one.health.last or None, one.created, one.rotated),
        )
        for one in webhooks_view.webhook_lines(shown, health, {})
    ]


async def attempts(visit: Visit, given: dict[str, str]) -> Groups:
    text = given.get("webhook", "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ID))):
        raise invalid("webhook must be the number of an endpoint")
    shown = await visit.site.api.call("GET", f"{webhooks_page.API}/{text}")
    if visit.user is not None and not webhooks_page.is_own(shown, visit.user):
        raise webhooks_page.no_webhook(int(text))
    before = webhooks_page.NEWEST
    while True:
        rows = await visit.site.ledger.deliveries(int(text), before, PAGE)
        yield [
            (
                *(row.at, row.event_id, row.type, row.delivery_id, row.attempt, "gap" if row.gap else row.outcome),
                *(row.status, None if row.gap else row.latency, row.error or row.reason or None, row.answer or None),
                *(row.next_at, row.replay, row.since or None, row.until or None),
            )
            for row in rows
        ]
        if len(rows) < PAGE:
            return
        before = rows[-1].position


async def grants(visit: Visit, given: dict[str, str]) -> Groups:
    view = await _spending(visit, given)
    yield [
        (
            *(one.id, one.reason, "paid" if one.paid else "promotional", one.state, one.amount, one.used, one.left),
            *(one.priority, one.created, one.expires),
        )
        for one in view.grants
    ]


async def budgets(visit: Visit, given: dict[str, str]) -> Groups:
    view = await _spending(visit, given)
    yield [
        (one.id, one.what, one.value or None, one.period, one.hard, one.limit, one.spent, one.held, one.left, one.ends)
        for one in view.budgets
    ]


async def _spending(visit: Visit, given: dict[str, str]) -> SpendingView:
    customer, is_test = _whose(visit, given)
    return await spending(visit.site, customer, is_test)


def _whose(visit: Visit, given: dict[str, str]) -> tuple[str, bool]:
    """Return whose rows these are, and whether those of test mode: the portal's own. Raises Refusal."""
    if visit.user is not None:
        return visit.user.customer_id, visit.user.test
    customer = filters.name(given, "customer")
    if not customer:
        raise invalid("customer is required")
    return customer, filters.choice(given, "mode", MODES) == "test"


async def replay(visit: Visit, given: dict[str, str]) -> Groups:
    """Yield the sums of a replay: of all, then by action, customer and day."""
    time = replays.time_range(given.get("from"), given.get("to"), visit.site.clock())
    changes = changes_of(decoded(given["changes"])) if "changes" in given else []
    scenario = Scenario(time, given.get("customer_id", ""), changes)
    found = await replays.run(visit.site, scenario, await replays.prices_in_force(visit.site.api))
    for name in ("all", "action", "customer", "day"):
        yield [
            (
                *(name, row.name or None, row.events, row.repriced, row.refused),
                *(parse_cents(row.actual), parse_cents(row.replayed)),
                parse_cents(row.replayed) - parse_cents(row.actual),
            )
            for row in part(found, name)
        ]
