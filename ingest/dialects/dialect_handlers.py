"""The HTTP part that all dialects share: the key, the body, the response in the dialect's own shape."""

from collections.abc import Awaitable, Callable, Sequence

import structlog
from aiohttp import hdrs, web

from ingest import metrics
from ingest.auth import key_with
from ingest.context import Context
from ingest.dialects.catalog import DIALECTS
from ingest.dialects.dialect import ClientResponse, Dialect, DialectRoute, MappedBody, Recorded, renamed
from ingest.dialects.recording import record
from ingest.problems import Problem
from ingest.request_body import REQUEST_ID, body_of
from ingest.routing import Auth, Handler, Operation, Route
from ingest.write_request import waits
from schemas.config import ApiKey
from schemas.limits import MAX_BATCH_BODY
from schemas.replies import IndexedError

REPEATED = frozenset({401, 429, 503})
"""Statuses of refusals that are no decision about the events: they come again, with a key, or later."""
SHOWN = 5
"""Refused events that a log line names."""
_log = structlog.get_logger("ingest")


def routes(context: Context) -> list[Route]:
    """Return the routes of every dialect."""
    return [
        Route(
            Operation(
                hdrs.METH_POST,
                route.path,
                route.summary,
                auth=Auth.CLIENT,
                responses=dict.fromkeys(route.statuses),
            ),
            _handler(context, dialect, route),
        )
        for dialect in DIALECTS
        for route in dialect.routes
    ]


def _handler(context: Context, dialect: Dialect, route: DialectRoute) -> Handler:
    return answering(dialect, lambda request: _recorded(context, dialect, route, request))


def answering(dialect: Dialect, respond: Callable[[web.Request], Awaitable[ClientResponse]]) -> Handler:
    """Return a handler that answers as the dialect does, refusals included."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return _response(await respond(request))
        except Problem as problem:
            problem.error = renamed(problem.error, dialect.names)
            problem.errors = [IndexedError(one.index, renamed(one.error, dialect.names)) for one in problem.errors]
            if problem.status not in REPEATED and request.method != hdrs.METH_GET:
                _refused(dialect, request, problem.errors or [IndexedError(0, problem.error)])
            shown = dialect.refusal(problem, request.headers)
            return _response(shown._replace(headers={**problem.headers, **shown.headers}))

    return handle


async def _recorded(context: Context, dialect: Dialect, route: DialectRoute, request: web.Request) -> ClientResponse:
    key, mapped = await read(context, dialect, route, request)
    recorded = await record(context, key, mapped.events, route.refusals, dialect.name, waits(request))
    _count(dialect, request, mapped, recorded)
    return mapped.respond(recorded)


async def read(
    context: Context, dialect: Dialect, route: DialectRoute, request: web.Request
) -> tuple[ApiKey, MappedBody]:
    """Return the API key and the mapped body of a request. Raises Problem.

    The key is checked before the body is read, and again after: it may be revoked meanwhile.
    """
    key_with(context, dialect.secret(request.headers), dialect.key_header)
    body = await body_of(request, MAX_BATCH_BODY, media_types=route.media_types)
    mapped = route.read(request.headers, body)
    return key_with(context, dialect.secret(request.headers), dialect.key_header), mapped


def _refused(dialect: Dialect, request: web.Request, errors: Sequence[IndexedError]) -> None:
    """Count and log refused events: many clients drop them without a word."""
    metrics.DIALECT_EVENTS.labels(dialect.name, "refused").inc(len(errors))
    _log.warning(
        "events of a client refused",
        dialect=dialect.name,
        request_id=request[REQUEST_ID],
        refused=len(errors),
        errors=[[one.index, one.error[:200]] for one in errors[:SHOWN]],
    )


def _count(dialect: Dialect, request: web.Request, mapped: MappedBody, recorded: Recorded) -> None:
    """Count what became of the events."""
    counts = {
        "recorded": recorded.charged,
        "replayed": recorded.replayed,
        "not_counted": sum(mapped.ignored.values()),
    }
    for result, count in counts.items():
        if count:
            metrics.DIALECT_EVENTS.labels(dialect.name, result).inc(count)
    if recorded.refused:
        _refused(dialect, request, recorded.refused)


def _response(shown: ClientResponse) -> web.Response:
    response = web.Response(body=shown.body or None, status=shown.status, headers=shown.headers)
    if shown.body or shown.status != 204:
        response.headers["Content-Type"] = shown.content_type
    return response
