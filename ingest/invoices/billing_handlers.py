"""HTTP handlers of how a customer is billed: currency, tax, terms and address."""

import re
from typing import cast
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET

from ingest import plain_names
from ingest.admin.configure import admin, admin_body
from ingest.bodies import COUNTRY_PATTERN, EMAIL_PATTERN, BillingBody, BillToBody
from ingest.context import Context
from ingest.invoices.invoice_handlers import collector_of
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.billing import (
    DEFAULT_CURRENCY,
    DEFAULT_TERMS,
    MAX_TERMS,
    MAX_THRESHOLD,
    MINOR_DIGITS,
    Billing,
    BillTo,
    parse_percent,
)
from schemas.billing_periods import CALENDAR, LAST_ANCHOR, Interval, Schedule, is_time_zone
from schemas.invoice_objects import BillingObject
from schemas.limits import MAX_NAME

PATH = "/api/admin/customers/{customer_id}/billing"
_body = msgspec.json.Decoder(BillingBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    one = {200: BillingObject}
    rows = [
        (Operation(hdrs.METH_GET, PATH, "Show how a customer is billed.", Auth.ADMIN, one), show),
        (Operation(hdrs.METH_PUT, PATH, "Set how a customer is billed.", Auth.ADMIN, one, BillingBody), change),
    ]
    return [Route(operation, bound(context, handler)) for operation, handler in rows]


async def show(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/customers/{customer_id}/billing."""
    admin(context, request)
    query_of(request, ())
    return http_response(await collector_of(context).call(hdrs.METH_GET, _path(context, request)))


async def change(context: Context, request: web.Request) -> web.Response:
    """Handle PUT /api/admin/customers/{customer_id}/billing."""
    body = await admin_body(context, request, _body)
    query_of(request, ())
    wanted = encode(billing_of(body))
    return http_response(await collector_of(context).call(hdrs.METH_PUT, _path(context, request), body=wanted))


def billing_of(body: BillingBody) -> Billing:
    """Return the billing that a body asks for. Raises Invalid."""
    given = DEFAULT_CURRENCY if body.currency is None else body.currency
    currency = given.lower()
    if currency not in MINOR_DIGITS or given not in (currency, currency.upper()):
        raise Invalid(f"currency must be an ISO 4217 code that Rev knows, such as usd or eur, not {given[:10]!r}")
    terms = DEFAULT_TERMS if body.payment_terms_days is None else body.payment_terms_days
    if not 0 <= terms <= MAX_TERMS:
        raise Invalid(f"payment_terms_days must be an integer from 0 to {MAX_TERMS}")
    text = "null" if body.tax_percent is UNSET else bytes(body.tax_percent).decode().strip('"')
    try:
        tax = 0 if text == "null" else parse_percent(text)
    except ValueError as error:
        raise Invalid(f"tax_percent {error}") from None
    _check_line("tax_reason", body.tax_reason)
    if tax and not body.tax_reason:
        raise Invalid("tax_reason is required with tax_percent, such as German VAT")
    threshold = body.invoice_threshold_cents
    if threshold is not None and not 1 <= threshold <= MAX_THRESHOLD:
        raise Invalid(f"invoice_threshold_cents must be an integer from 1 to {MAX_THRESHOLD}")
    return Billing(
        currency,
        tax=tax,
        tax_reason=body.tax_reason or "",
        terms=terms,
        bill_to=_bill_to(body.bill_to),
        schedule=_schedule(body),
        threshold=threshold or 0,
    )


def _schedule(body: BillingBody) -> Schedule:
    interval = CALENDAR.interval if body.billing_interval is None else body.billing_interval
    if interval not in LAST_ANCHOR:
        raise Invalid("billing_interval must be week or month")
    anchor = CALENDAR.anchor if body.billing_anchor is None else body.billing_anchor
    last = LAST_ANCHOR[interval]
    if not 1 <= anchor <= last:
        raise Invalid(f"billing_anchor must be an integer from 1 to {last} with billing_interval {interval}")
    zone = CALENDAR.time_zone if body.time_zone is None else body.time_zone
    if not is_time_zone(zone):
        raise Invalid(f"time_zone must be a name of the IANA database, such as Europe/Berlin, not {zone[:50]!r}")
    wanted = Schedule(cast(Interval, interval), anchor, zone)
    return CALENDAR if wanted == CALENDAR else wanted  # the default itself is left out of what is stored


def _bill_to(body: BillToBody | None) -> BillTo:
    if body is None:
        return BillTo()
    for name, text in msgspec.structs.asdict(body).items():
        _check_line(f"bill_to.{name}", text)
    given = {name: text or "" for name, text in msgspec.structs.asdict(body).items()}
    if given["email"] and not re.fullmatch(EMAIL_PATTERN[1:-1], given["email"]):
        raise Invalid("bill_to.email must be an e-mail address")
    if given["country"] and not re.fullmatch(COUNTRY_PATTERN[1:-1], given["country"]):
        raise Invalid("bill_to.country must be an ISO 3166 code such as DE")
    return BillTo(**given)


def _check_line(field: str, text: str | None) -> None:
    if text is not None and not 1 <= len(text) <= MAX_NAME:
        raise Invalid(f"{field} must have 1 to {MAX_NAME} characters")
    plain_names.check(field, text)


def _path(context: Context, request: web.Request) -> str:
    customer = request.match_info["customer_id"]
    if customer not in context.view.customers:
        raise NotFound(f"no customer {customer[:100]!r}")
    return f"/billing/{quote(customer, safe='')}"
