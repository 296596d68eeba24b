"""HTTP handlers of the read side: authenticate, query, respond."""

import asyncio

from aiohttp import hdrs, web

from ingest.auth import customer_of, key_of, mode_of, require_admin
from ingest.context import Context
from ingest.middleware import http_response
from ingest.problems import RETRY_AFTER
from ingest.reads import eventviews, params, usage_responses
from ingest.reads.event_evidence import event_address, evidence, unknown_event
from ingest.reads.event_status import EventStatus, event_status
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from schemas.topics import partition_of
from warehouse.queries import Reads, find_event
from warehouse.rows import ComponentSumRow, EventRow, UsageSumRow

CUSTOMER = {"customer_id": "The customer; required with a platform key."}
NAMES = {"agent_id": "Only events of this agent.", "action": "Only events of this action."}
TIMES = {"from": "Only events at or after this ISO 8601 time.", "to": "Only events before this time."}
PAGE = {"limit": "Maximum number of items, 1 to 1000; 50 by default.", "cursor": "next_cursor of the previous page."}
EVENTS_QUERY = {
    **CUSTOMER,
    **NAMES,
    "outcome": "Only events with this outcome: success, failure or pending.",
    "idempotency_key": "Only the event with this idempotency key.",
    "import_id": "Only events of this import.",
    **TIMES,
    **PAGE,
}
USAGE_QUERY = {
    **CUSTOMER,
    "period": "24h, 7d, 30d or 90d, including the current hour or day; 30d by default.",
    **TIMES,
    **NAMES,
    "model": "Only events of this model.",
    "group_by": "What groups are formed by: day, hour, agent, action, model, component or component_model.",
}
LOOKS = 4
"""Maximum number of times that the totals are read until they agree.

Each total is a query of its own, and entries arrive in between.
"""


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    shown, get = eventviews.EventShown, hdrs.METH_GET
    return [
        Route(Operation(get, "/v1/events", "List events, newest first.", Auth.KEY, {200: eventviews.EventList},
                        query=EVENTS_QUERY), bound(context, event_list)),
        Route(Operation(get, "/v1/events/{event_id}", "Get an event and its current state.", Auth.KEY,
                        {200: shown, 202: shown}, query=CUSTOMER), bound(context, one_event)),
        Route(Operation(get, "/v1/usage", "Get the totals of a period.", Auth.KEY, {200: usage_responses.UsageResponse},
                        query=USAGE_QUERY), bound(context, usage_of)),
        Route(Operation(get, "/api/admin/audit", "List configuration changes, newest first.", Auth.ADMIN,
                        {200: usage_responses.Audit}, query=PAGE), bound(context, audit_trail)),
    ]  # fmt: skip


async def one_event(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/events/{event_id}."""
    key = key_of(context, request)
    customer = customer_of(context, key, query_of(request, CUSTOMER).get("customer_id"))
    address = event_address(request.match_info["event_id"])
    event_id = int(request.match_info["event_id"])
    test = mode_of(context, key, customer) == "test"
    reads = context.ledger()
    row = await find_event(reads, customer, event_id, test)
    if row is None:
        seen = await evidence(context, partition_of(customer.encode(), context.settings.partitions))
        # it may have arrived while the evidence was collected
        row = await find_event(reads, customer, event_id, test)
        if row is None and event_status(address, seen) is EventStatus.ACCEPTED:
            return http_response(encode(eventviews.accepted(event_id, test)), 202, {"Retry-After": RETRY_AFTER})
    if row is None:
        raise unknown_event(request.match_info["event_id"])
    return http_response(encode(eventviews.shown(row, bool(await reads.voided(customer, [event_id])))))


async def event_list(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/events."""
    customer, test, given = _asked(context, request, EVENTS_QUERY)
    query = params.event_query(given, customer, test)
    reads = context.ledger()
    rows = await reads.events(query._replace(limit=query.limit + 1))
    voided = await reads.voided(customer, [row.event_id for row in rows if _is_priced(row)])
    return http_response(encode(eventviews.page(rows, voided, query.limit)))


async def usage_of(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/usage."""
    customer, test, given = _asked(context, request, USAGE_QUERY)
    now = context.clock()
    asked = params.usage_request(given, customer, test, now)
    reads = context.ledger()
    for _ in range(LOOKS):
        actions, agents, groups, components, pending = await asyncio.gather(
            reads.usage(asked.query, "action"),
            reads.usage(asked.query, "agent_id"),
            _groups(reads, asked),
            _components(reads, asked),
            reads.pending(asked.query, now),
        )
        lists = [groups] if asked.group in params.GROUPS else []
        if usage_responses.agree(actions, agents, *lists) and usage_responses.are_whole(components, actions):
            break
    return http_response(encode(usage_responses.usage(asked, actions, agents, groups, components, pending)))


async def audit_trail(context: Context, request: web.Request) -> web.Response:
    """Handle GET /api/admin/audit."""
    require_admin(context, request)
    asked = params.audit_request(query_of(request, PAGE))
    rows = await context.ledger().audit(asked.before, asked.limit + 1)
    return http_response(encode(usage_responses.audit(rows, asked.limit)))


def _asked(context: Context, request: web.Request, known: dict[str, str]) -> tuple[str, bool, dict[str, str]]:
    """Return the customer, whether its test entries are wanted, and the parameters."""
    key = key_of(context, request)
    given = query_of(request, known)
    customer = customer_of(context, key, given.get("customer_id"))
    return customer, mode_of(context, key, customer) == "test", given


async def _groups(reads: Reads, asked: params.UsageRequest) -> list[UsageSumRow]:
    key = params.GROUPS.get(asked.group or "")
    return [] if key is None else await reads.usage(asked.query, key)


async def _components(reads: Reads, asked: params.UsageRequest) -> list[ComponentSumRow] | None:
    by_model = params.COMPONENTS.get(asked.group or "")
    return None if by_model is None else await reads.components(asked.query, by_model)


def _is_priced(row: EventRow) -> bool:
    return row.kind == "event"
