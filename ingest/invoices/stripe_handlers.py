"""HTTP handlers of Stripe: what is on its way there, reconciliation, and what Stripe reports."""

import msgspec
from aiohttp import hdrs, web

from ingest.admin.configure import admin, admin_body
from ingest.bodies import ReconcileBody
from ingest.collector_client import LONG
from ingest.context import Context
from ingest.invoices.invoice_handlers import check_month, collector_of, path_of
from ingest.middleware import http_response
from ingest.problems import ErrorBody, Invalid
from ingest.request_body import body_of, query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.invoice_objects import MonthRequest, PushList, PushObject, Reconciliation, ReportTaken, StripeReport
from schemas.limits import MAX_BODY

PUSHES, REPORT, RECONCILE = "/api/admin/stripe/pushes", "/v1/stripe/webhook", "/api/admin/stripe/reconcile"
SIGNATURE = "Stripe-Signature"
_reconcile = msgspec.json.Decoder(ReconcileBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    get, post, admins = hdrs.METH_GET, hdrs.METH_POST, Auth.ADMIN
    rows = [
        (Operation(get, PUSHES, "List the invoices that Stripe does not have yet.", admins, {200: PushList}), pushes),
        (Operation(post, "/api/admin/invoices/{number}/push", "Bring an invoice to Stripe now.", admins,
                   {200: PushObject}), push),
        (Operation(post, RECONCILE, "Compare ledger, invoices and Stripe.", admins, {200: Reconciliation},
                   ReconcileBody), reconcile),
        (Operation(post, REPORT, "Take an event that Stripe sends.", Auth.NONE,
                   {200: ReportTaken, **dict.fromkeys((400, 401, 404, 409, 413, 415, 503), ErrorBody)}), report),
    ]  # fmt: skip
    return [Route(operation, bound(context, handler)) for operation, handler in rows]


async def pushes(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/stripe/pushes."""
    admin(context, request)
    query_of(request, ())
    return http_response(await collector_of(context).call(hdrs.METH_GET, "/stripe/pushes"))


async def push(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/invoices/{number}/push."""
    admin(context, request)
    query_of(request, ())
    return http_response(await collector_of(context).call(hdrs.METH_POST, path_of(request) + "/push"))


async def reconcile(context: Context, request: web.Request) -> web.Response:
    """Handle POST /api/admin/stripe/reconcile."""
    body = await admin_body(context, request, _reconcile)
    query_of(request, ())
    if body.month is None:
        raise Invalid("month is required, such as 2026-11")
    check_month(body.month)
    asked = encode(MonthRequest(body.month))
    return http_response(
        await collector_of(context).call(hdrs.METH_POST, "/stripe/reconcile", body=asked, timeout=LONG)
    )


async def report(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/stripe/webhook. The collector, which has the secret, checks the signature."""
    signature = request.headers.get(SIGNATURE, "")
    try:
        text = (await body_of(request, MAX_BODY)).decode()
    except UnicodeDecodeError:
        raise Invalid("the body must be UTF-8") from None
    asked = encode(StripeReport(signature, text))
    return http_response(await collector_of(context).call(hdrs.METH_POST, "/stripe/report", body=asked))
