"""POST /v1/outcomes, its resolve, and GET of one outcome: decided and answered by the shard."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from ingest.auth import customer_of, key_of, mode_of
from ingest.bodies import OutcomeBody, ResolveBody
from ingest.command_log import outcome_reply
from ingest.context import Context
from ingest.middleware import http_response
from ingest.new_customers import admit, warned
from ingest.outcomes.outcome_pages import with_status
from ingest.outcomes.outcome_requests import OUTCOME_PREFIX, is_target, outcome_body, resolve_body, task_of, verdict_of
from ingest.problems import NotFound
from ingest.request_body import query_of
from ingest.responses import encode
from ingest.routing import Auth, Operation, Route, bound
from ingest.write_request import QUERY, REPLAYED, location, one_key, received, waits
from schemas.commands import ReadOutcome, Register, Resolve
from schemas.commands import encode as encode_command
from schemas.ids import event_id, outcome_id
from schemas.limits import MAX_BODY
from schemas.objects import OutcomeObject, iso
from schemas.outcome_terms import terms_of
from schemas.replies import OutcomeReply
from warehouse.errors import ReadsUnavailable

PATH = "/v1/outcomes"
ONE = PATH + "/{outcome_id}"


class AcceptedOutcome(msgspec.Struct, frozen=True):
    """202: the registration is durable and will be decided."""

    task_id: str
    outcome_id: str
    customer_id: str
    agent_id: str
    expires_at: str
    created_at: str
    test: bool
    status: Literal["accepted"] = "accepted"
    warnings: list[str] | UnsetType = UNSET


class AcceptedVerdict(msgspec.Struct, frozen=True):
    """202: the verdict is durable and will be decided; one of the ids is null."""

    task_id: str | None
    outcome_id: str | None
    success: bool
    test: bool
    status: Literal["accepted"] = "accepted"


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""

    post, keys = hdrs.METH_POST, Auth.KEY
    opened = {201: OutcomeObject, 202: AcceptedOutcome}
    closed = {200: OutcomeObject, 202: AcceptedVerdict}
    words = "Resolve an outcome, by its id or its task_id; it is charged at once."
    shown = "Get an outcome, by its id or its task_id; the response reflects every answered write."
    return [
        Route(
            Operation(
                post,
                PATH,
                "Register a task with a price that depends on its result.",
                auth=keys,
                responses=opened,
                body=OutcomeBody,
                query=QUERY,
            ),
            bound(context, register),
        ),
        Route(
            Operation(post, ONE + "/resolve", words, auth=keys, responses=closed, body=ResolveBody, query=QUERY),
            bound(context, resolve),
        ),
        Route(
            Operation(hdrs.METH_GET, ONE, shown, auth=keys, responses={200: OutcomeObject}, body=None, query=QUERY),
            bound(context, read),
        ),
    ]


async def register(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/outcomes."""
    query, sent, key = await received(context, request, MAX_BODY)
    body = outcome_body(sent)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    own_key = one_key(request, body.idempotency_key)
    window = context.settings.idempotency_window
    task = task_of(body, context.clock(), 0 if own_key is None else window)
    warnings = await admit(context, key, customer_id)
    mode = mode_of(context, key, customer_id)
    command = Register(
        customer_id=customer_id,
        api_key_id=key.id,
        task_id=task.task_id,
        agent_id=task.agent_id,
        expires_at=task.expires_at,
        idempotency_window=window,
        on_expiry=task.on_expiry,
        idempotency_key=own_key,
        test=mode == "test",
        mode=mode,
        **terms_of(task),
    )
    submitted = await context.submitter.decide(customer_id, encode_command(command), waits(request))
    if submitted.reply is not None:
        return await forwarded(context, customer_id, outcome_reply(submitted.reply), warnings)
    partition, offset, at = submitted.appended.partition, submitted.appended.offset, submitted.appended.timestamp_ms
    id = outcome_id(event_id(partition, offset))
    expires_at = iso(task.expires_at)
    shown = AcceptedOutcome(
        task_id=task.task_id,
        outcome_id=id,
        customer_id=customer_id,
        agent_id=task.agent_id,
        expires_at=expires_at,
        created_at=iso(at),
        test=command.test,
    )
    return http_response(warned(encode(shown), warnings), 202, location(key, customer_id, "outcomes", id))


async def resolve(context: Context, request: web.Request) -> web.Response:
    """Handle POST /v1/outcomes/{task_id | outcome_id}/resolve."""
    query, sent, key = await received(context, request, MAX_BODY)
    body = resolve_body(sent)
    customer_id = customer_of(context, key, body.customer_id, query.get("customer_id"))
    own_key = one_key(request, body.idempotency_key)
    verdict = verdict_of(body)
    target = _target(request)
    window = context.settings.idempotency_window
    mode = mode_of(context, key, customer_id)
    command = Resolve(
        customer_id=customer_id,
        api_key_id=key.id,
        target=target,
        success=verdict.success,
        idempotency_window=window,
        evidence=verdict.evidence,
        idempotency_key=own_key,
        mode=mode,
    )
    submitted = await context.submitter.decide(customer_id, encode_command(command), waits(request))
    if submitted.reply is not None:
        return await forwarded(context, customer_id, outcome_reply(submitted.reply))
    task, id = (None, target) if target.startswith(OUTCOME_PREFIX) else (target, None)
    where = location(key, customer_id, "outcomes", target)
    return http_response(encode(AcceptedVerdict(task, id, verdict.success, mode == "test")), 202, where)


async def read(context: Context, request: web.Request) -> web.Response:
    """Handle GET /v1/outcomes/{task_id | outcome_id}."""
    key = key_of(context, request)
    customer_id = customer_of(context, key, query_of(request, QUERY).get("customer_id"))
    command = ReadOutcome(customer_id, _target(request), mode_of(context, key, customer_id))
    return await forwarded(context, customer_id, await context.submitter.read(customer_id, encode_command(command)))


async def forwarded(
    context: Context, customer_id: str, reply: OutcomeReply, warnings: Sequence[str] = ()
) -> web.Response:
    """Return the shard's reply as the response.

    Raises ReadsUnavailable when the rest of the outcome is in the ledger and the ledger cannot be read.
    """
    body = await outcome_shown(context, customer_id, reply)
    return http_response(warned(body, warnings), reply.status, REPLAYED if reply.replayed else None)


async def outcome_shown(context: Context, customer_id: str, reply: OutcomeReply) -> bytes:
    """Return the object of the shard's reply as JSON.

    Raises ReadsUnavailable when the rest of the outcome is in the ledger and the ledger cannot be read.
    """
    body = bytes(reply.result)
    if reply.elsewhere is None:
        return body
    entry = await context.ledger().entry(reply.elsewhere, customer_id)
    if entry is None:
        raise ReadsUnavailable("the ledger does not have the outcome yet; try again")
    return with_status(entry.detail, body)


def _target(request: web.Request) -> str:
    target = request.match_info["outcome_id"]
    if not is_target(target):
        raise NotFound("there is no such outcome")
    return target
