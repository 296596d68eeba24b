"""/api/admin/customers: list customers and change their name, external ids and test flag."""

from aiohttp import hdrs, web
from msgspec.json import Decoder

from ingest import paging, plain_names
from ingest.admin.configure import ACTOR, admin, admin_body, configure
from ingest.auth import check_customer_id
from ingest.bodies import CustomerBody
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import Invalid, NotFound
from ingest.request_body import query_of
from ingest.responses import CustomerList, encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.commands import UpdateCustomer
from schemas.objects import CustomerObject, customer_shown

PATH = "/api/admin/customers"
MAX_EXTERNAL = 50
_body = Decoder(CustomerBody)


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    listed, one = {200: CustomerList}, {200: CustomerObject}
    admins = Auth.ADMIN
    return [
        Route(
            Operation(
                hdrs.METH_GET, PATH, "List all customers.", auth=admins, responses=listed, body=None, query=paging.QUERY
            ),
            bound(context, _list),
        ),
        Route(
            Operation(hdrs.METH_GET, PATH + "/{customer_id}", "Show a customer.", admins, one),
            bound(context, _show),
        ),
        Route(
            Operation(hdrs.METH_PATCH, PATH + "/{customer_id}", "Update a customer.", admins, one, CustomerBody),
            bound(context, _change),
        ),
    ]


async def _list(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query = query_of(request, paging.QUERY)
    customers = context.view.customers.values()
    shown, cursor = paging.page(customers, lambda one: (one.created_at, one.customer_id), query)
    return http_response(encode(CustomerList([customer_shown(customer) for customer in shown], cursor)))


async def _show(context: Context, request: web.Request) -> web.Response:
    admin(context, request)
    query_of(request, ())
    customer_id = request.match_info["customer_id"]
    customer = context.view.customers.get(customer_id)
    if customer is None:
        raise NotFound(f"no customer {customer_id!r}")
    return http_response(encode(customer_shown(customer)))


async def _change(context: Context, request: web.Request) -> web.Response:
    body = await admin_body(context, request, _body)
    query_of(request, ())
    customer_id = request.match_info["customer_id"]
    check_customer_id(context, customer_id)
    plain_names.check("name", body.name)
    if body.external_ids is not None:
        if len(body.external_ids) > MAX_EXTERNAL:
            raise Invalid(f"external_ids must be at most {MAX_EXTERNAL}")
        for system, id in body.external_ids.items():
            plain_names.check("external_ids", system)
            plain_names.check("external_ids", id)
    command = UpdateCustomer(customer_id, body.name, body.external_ids, body.test, ACTOR, body.on_empty)
    return http_response(bytes((await configure(context, command)).result))
