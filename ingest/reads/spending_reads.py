"""GET /v1/budgets and /v1/balance: what a customer may still spend, answered by the customer's shard."""

from aiohttp import hdrs, web

from ingest import plain_names
from ingest.auth import customer_of, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid
from ingest.rates import amount_of_text
from ingest.request_body import query_of
from ingest.routing import Auth, Operation, Route, bound
from ingest.write_request import QUERY
from schemas.commands import EventLabels, ReadBalance, ReadBudgets, encode
from schemas.limits import MAX_NAME
from schemas.spending import BalanceObject, BudgetList

LABELS = ("agent_id", "action", "model")
BUDGETS_QUERY = {
    **QUERY,
    "amount_cents": "Say whether so many cents more would fit.",
    **{name: f"Only budgets that count an event of this {name.removesuffix('_id')}." for name in LABELS},
}


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [
        Route(
            Operation(
                hdrs.METH_GET,
                "/v1/budgets",
                "List your budgets: what is spent, and what is left.",
                auth=Auth.KEY,
                responses={200: BudgetList},
                body=None,
                query=BUDGETS_QUERY,
            ),
            bound(context, budgets),
        ),
        Route(
            Operation(
                hdrs.METH_GET,
                "/v1/balance",
                "Get your prepaid credit.",
                auth=Auth.KEY,
                responses={200: BalanceObject},
                body=None,
                query=QUERY,
            ),
            bound(context, balance),
        ),
    ]


async def balance(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/balance."""
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, QUERY).get("customer_id"))
    command = ReadBalance(customer_id, mode_of(context, key, customer_id))
    reply = await context.submitter.read(customer_id, encode(command))
    return http_response(bytes(reply.result))


async def budgets(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/budgets."""
    key = key_of(context, request)
    query = query_of(request, BUDGETS_QUERY)
    customer_id = customer_of(context, key, query.get("customer_id"))
    given = query.get("amount_cents")
    labels = {name: _label(name, query[name]) for name in LABELS if name in query}
    command = ReadBudgets(
        customer_id,
        mode=mode_of(context, key, customer_id),
        amount=None if given is None else amount_of_text("amount_cents", given),
        event=EventLabels(**labels) if labels else None,
        api_key_id=key.id,
    )
    reply = await context.submitter.read(customer_id, encode(command))
    return http_response(bytes(reply.result))


def _label(name: str, text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME:
        raise Invalid(f"{name} must have 1 to {MAX_NAME} characters")
    plain_names.check(name, text)
    return text
