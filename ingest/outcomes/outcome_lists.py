"""GET /v1/outcomes: lists with filters, from the ledger."""

from aiohttp import hdrs, web

from ingest.auth import customer_of, key_of, mode_of
from ingest.context import Context
from ingest.middleware import http_response
from ingest.outcomes.outcome_pages import OutcomeList, page
from ingest.reads import params
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound

QUERY = {
    "customer_id": "The customer; required with a platform key.",
    "status": "Only outcomes with this status: pending, succeeded, failed or expired.",
    "agent_id": "Only outcomes of this agent.",
    "from": "Only outcomes opened at or after this ISO 8601 time.",
    "to": "Only outcomes opened before this time.",
    "limit": "Maximum number of items, 1 to 1000; 50 by default.",
    "cursor": "next_cursor of the previous page.",
}


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    listed = {200: OutcomeList}
    return [
        Route(
            Operation(
                hdrs.METH_GET,
                "/v1/outcomes",
                "List outcomes, newest first.",
                auth=Auth.KEY,
                responses=listed,
                body=None,
                query=QUERY,
            ),
            bound(context, outcome_list),
        )
    ]


async def outcome_list(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/outcomes."""
    key = key_of(context, request)
    given = query_of(request, QUERY)
    customer = customer_of(context, key, given.get("customer_id"))
    test = mode_of(context, key, customer) == "test"
    asked = params.outcome_query(given, customer, test, context.clock())
    reads = context.ledger()
    rows = await reads.outcomes(asked._replace(limit=asked.limit + 1))
    opened = [row.event_id for row in rows]
    closings = await reads.closings(customer, opened)
    voided = await reads.voided(customer, [*opened, *(closing.event_id for closing in closings.values())])
    return http_response(encode(page(asked, rows, closings, voided)))
