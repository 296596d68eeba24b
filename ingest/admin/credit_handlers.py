"""/api/admin/credits: grant prepaid credit, and see it. The customer's shard holds it, and draws it down."""

from typing import get_args

from aiohttp import hdrs, web
from msgspec.json import Decoder

from ingest.admin.budget_handlers import decide, known_customer
from ingest.admin.configure import ACTOR, admin, admin_body
from ingest.bodies import GrantBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid
from ingest.rates import amount
from ingest.request_body import query_of
from ingest.routing import Auth, Operation, Route, bound
from ingest.validation import checked_reason, expiry
from ingest.write_request import one_key
from schemas.commands import GrantCredit, Mode, ReadBalance, encode
from schemas.spending import BalanceObject, GrantObject

PATH = "/api/admin/credits"
PRIORITY = 50
QUERY = {"customer_id": "The customer.", "mode": "live (the default) or test."}
LOW = 20
"""Percentage of the balance after a grant of which a webhook tells, where the request names none."""


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    made = {201: GrantObject}
    return [
        Route(
            Operation(hdrs.METH_POST, PATH, "Grant prepaid credit.", Auth.ADMIN, made, GrantBody),
            bound(context, _grant),
        ),
        Route(
            Operation(
                hdrs.METH_GET,
                PATH,
                "Get a customer's prepaid credit.",
                auth=Auth.ADMIN,
                responses={200: BalanceObject},
                body=None,
                query=QUERY,
                required=("customer_id",),
            ),
            bound(context, _balance),
        ),
    ]


_body = Decoder(GrantBody)


async def _grant(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    customer_id = await known_customer(context, body.customer_id)
    granted = amount("amount_cents", body.amount_cents)
    if granted == "0":
        raise Invalid("amount_cents must be more than 0")
    now, own_key = context.clock(), one_key(request, body.idempotency_key)
    # the key is kept for ever: only the shard knows whether a time in the past is in the repeat of a request
    expires_at = None if body.expires_at is None else expiry(body.expires_at, now, 0 if own_key is None else now)
    command = GrantCredit(
        customer_id=customer_id,
        amount=granted,
        reason=checked_reason(body.reason),
        expires_at=expires_at,
        priority=PRIORITY if body.priority is None else body.priority,
        test=bool(body.test) or context.view.is_test(customer_id),
        idempotency_key=own_key,
        actor=ACTOR,
        low_percent=LOW if body.low_percent is None else body.low_percent,
        category=body.category or "promotional",
    )
    return await decide(context, command)


async def _balance(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    given = query_of(request, QUERY)
    customer_id = await known_customer(context, given.get("customer_id"))
    if given.get("mode", "live") not in get_args(Mode):
        raise Invalid("mode must be live or test")
    mode: Mode = "test" if given.get("mode") == "test" else "live"
    reply = await context.submitter.read(customer_id, encode(ReadBalance(customer_id, mode)))
    return http_response(bytes(reply.result))
