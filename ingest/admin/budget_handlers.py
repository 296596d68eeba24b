"""/api/admin/budgets: make, list and delete a customer's budgets. The customer's shard holds and decides them."""

from aiohttp import hdrs, web
from msgspec.json import Decoder

from ingest import plain_names
from ingest.admin.configure import ACTOR, admin, admin_body, id_of
from ingest.auth import PLATFORM, require_latest
from ingest.bodies import BudgetBody
from ingest.command_log import outcome_reply
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, MaybeRecorded, NotFound
from ingest.rates import amount
from ingest.request_body import query_of
from ingest.responses import DoneResponse
from ingest.routing import Auth, Operation, Route, bound
from ingest.write_request import REPLAYED, one_key
from schemas.commands import CreateBudget, DeleteBudget, ReadBudgets, Scope, SetBillingAnchor, Spend, encode
from schemas.spending import BudgetList, BudgetObject

PATH = "/api/admin/budgets"
QUERY = {"customer_id": "The customer."}
_body = Decoder(BudgetBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    admins = Auth.ADMIN
    made = {201: BudgetObject}
    return [
        Route(
            Operation(hdrs.METH_POST, PATH, "Create a budget.", admins, made, BudgetBody),
            bound(context, _create),
        ),
        Route(
            Operation(
                hdrs.METH_GET,
                PATH,
                "List a customer's budgets, live and test.",
                auth=admins,
                responses={200: BudgetList},
                body=None,
                query=QUERY,
                required=("customer_id",),
            ),
            bound(context, _list),
        ),
        Route(
            Operation(
                hdrs.METH_DELETE,
                PATH + "/{id}",
                "Delete a budget.",
                auth=admins,
                responses={200: DoneResponse},
                body=None,
                query=QUERY,
                required=("customer_id",),
            ),
            bound(context, _delete),
        ),
    ]


async def _create(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    customer_id = await known_customer(context, body.customer_id)
    if body.scope is None:
        raise Invalid("scope is required")
    if body.period is None:
        raise Invalid("period is required")
    limit = amount("limit_cents", body.limit_cents)
    if body.hard is None:
        raise Invalid("hard is required")
    command = CreateBudget(
        customer_id=customer_id,
        scope=body.scope,
        period=body.period,
        limit=limit,
        hard=body.hard,
        value=_value(context, customer_id, body.scope, body.value),
        test=bool(body.test) or context.view.is_test(customer_id),
        idempotency_key=one_key(request, body.idempotency_key),
        actor=ACTOR,
    )
    return await decide(context, command)


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    customer_id = await known_customer(context, query_of(request, QUERY).get("customer_id"))
    reply = await context.submitter.read(customer_id, encode(ReadBudgets(customer_id)))
    return http_response(bytes(reply.result))


async def _delete(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    customer_id = await known_customer(context, query_of(request, QUERY).get("customer_id"))
    return await decide(context, DeleteBudget(customer_id, id_of(request, "budget"), ACTOR))


async def known_customer(context: Context, name: str | None) -> str:
    """Return a customer that exists. Raises Invalid without one, NotFound for an unknown one."""
    if name is None:
        raise Invalid("customer_id is required")
    if name not in context.view.customers:
        await require_latest(context)
    if name not in context.view.customers:
        raise NotFound(f"customer_id must be a customer that exists, unlike {name[:100]!r}")
    return name


async def decide(context: Context, command: Spend | SetBillingAnchor) -> web.Response:
    """Return the shard's reply to a change. Raises MaybeRecorded when none came in time, and as CommandLog.decide."""
    submitted = await context.submitter.decide(command.customer_id, encode(command), True)
    if submitted.reply is None:
        raise MaybeRecorded("the change is recorded but not confirmed yet; retry with the same Idempotency-Key")
    reply = outcome_reply(submitted.reply)
    return http_response(bytes(reply.result), reply.status, REPLAYED if reply.replayed else None)


def _value(context: Context, customer_id: str, scope: Scope, value: str | None) -> str:
    """Return what a budget is for. Raises Invalid."""
    if scope == "all":
        if value is not None:
            raise Invalid("value must be absent with scope 'all'")
        return ""
    if value is None:
        raise Invalid(f"value is required with scope {scope!r}")
    plain_names.check("value", value)
    if scope == "key":
        keys = context.view.keys
        owners = (customer_id, PLATFORM)
        if not (value.isascii() and value.isdigit() and value == str(int(value[:15]))):
            raise Invalid("value must be the id of an API key with scope 'key'")
        if int(value) not in keys or keys[int(value)].customer_id not in owners:
            raise Invalid(f"value must be the id of an API key of this customer, unlike {value}")
    return value
