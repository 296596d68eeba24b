"""/api/admin/customers/{customer_id}/billing-anchor: on which day of the month a customer's billing periods begin."""

from aiohttp import hdrs, web
from msgspec.json import Decoder

from ingest.admin.budget_handlers import decide, known_customer
from ingest.admin.configure import ACTOR, admin, admin_body
from ingest.bodies import BillingAnchorBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid
from ingest.request_body import query_of
from ingest.routing import Auth, Operation, Route, bound
from schemas.billing_anchors import BillingAnchorObject
from schemas.commands import ReadBillingAnchor, SetBillingAnchor, encode

PATH = "/api/admin/customers/{customer_id}/billing-anchor"
_body = Decoder(BillingAnchorBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    shown, admins = {200: BillingAnchorObject}, Auth.ADMIN
    words = "Set the day of the month on which a customer's billing periods begin."
    return [
        Route(Operation(hdrs.METH_PUT, PATH, words, admins, shown, BillingAnchorBody), bound(context, _set)),
        Route(
            Operation(hdrs.METH_GET, PATH, "Show a customer's billing anchor.", admins, shown), bound(context, _show)
        ),
    ]


async def _set(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    customer_id = await known_customer(context, request.match_info["customer_id"])
    if body.billing_anchor is None:
        raise Invalid("billing_anchor is required")
    return await decide(context, SetBillingAnchor(customer_id, body.billing_anchor, ACTOR))


async def _show(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    customer_id = await known_customer(context, request.match_info["customer_id"])
    reply = await context.submitter.read(customer_id, encode(ReadBillingAnchor(customer_id)))
    return http_response(bytes(reply.result))
