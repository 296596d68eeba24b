"""The middleware around every request: request ids, refusals as JSON, latency, unexpected errors.

An unexpected exception is a bug: it is logged with its request id, counted, and answered with 500.
"""

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import uuid4

import structlog
from aiohttp import web
from msgspec import UNSET, UnsetType

from ingest import metrics
from ingest.problems import RETRY_AFTER, ErrorBody, Problem, encode
from ingest.request_body import REQUEST_ID, request_id
from ingest.routing import Handler
from schemas.objects import Number, OutcomeStatus
from schemas.replies import IndexedError
from schemas.spending import BudgetObject
from warehouse.errors import Unavailable

JSON = "application/json"
_log = structlog.get_logger("ingest")
_WORDS = {
    404: ("this path does not exist", "not_found"),
    405: ("this path does not allow this method; the Allow header lists those that it does", "method_not_allowed"),
    413: ("the body is too large", "too_large"),
    417: ("Expect must be 100-continue or absent", "invalid_request"),
}


def http_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a JSON response with a body that is already rendered."""
    response = web.Response(body=body, status=status, headers=headers)
    response.headers["Content-Type"] = JSON
    return response


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wrap every handler that the application finds."""
    return await _answered(request, handler, None)


def direct(handler: Handler, route: str) -> Handler:
    """Return the handler of a route, wrapped likewise, to be called without the application."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _answered(request, handler, route)

    return handle


async def _answered(request: web.Request, handler: Handler, route: str | None) -> web.StreamResponse:
    """Return the handler's response or a refusal. ``route``: None if the application found the handler."""
    began = time.perf_counter()
    id = request_id(request.headers.get("X-Request-Id")) or uuid4().hex
    request[REQUEST_ID] = id
    try:
        response = await handler(request)
    except Problem as problem:
        response = refusal(
            status=problem.status,
            code=problem.code,
            error=problem.error,
            id=id,
            headers=problem.headers,
            errors=problem.errors,
            outcome=problem.outcome,
            budget=problem.budget,
            balance_cents=problem.balance_cents,
        )
    except Unavailable:
        away = "the ledger cannot be read at the moment; try again"
        response = refusal(503, "reads_unavailable", away, id, {"Retry-After": RETRY_AFTER})
    except web.HTTPException as error:
        response = http_refusal(error, id)
    except Exception as error:
        metrics.BUGS.inc()
        _log.exception("unexpected error", request_id=id, method=request.method, path=request.path, error=repr(error))
        response = refusal(500, "internal", "internal server error; the log names its cause under this request_id", id)
    if not response.prepared:
        response.headers["X-Request-Id"] = id
    method = request.method
    if route is None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        method = method if resource is not None else "any"
    metrics.request_seconds(method, route, response.status).observe(time.perf_counter() - began)
    return response


def http_refusal(error: web.HTTPException, id: str) -> web.Response:
    """Return a refusal by aiohttp (no such path, method, …) in the JSON shape of Rev's refusals."""
    words, code = _WORDS.get(error.status, (error.reason.lower(), "invalid_request"))
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Location")}
    return refusal(error.status, code, words, id, kept)


def refusal(
    status: int,
    code: str,
    error: str,
    id: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    errors: Sequence[IndexedError] = (),
    outcome: OutcomeStatus | None = None,
    budget: BudgetObject | None = None,
    balance_cents: Number | UnsetType = UNSET,
) -> web.Response:
    """Return a refusal in the JSON shape that all refusals share; ``id`` is the request's."""
    shown = error.encode("utf-8", "backslashreplace").decode()
    body = ErrorBody(
        shown,
        code,
        id,
        errors or (),
        outcome_id=None if outcome is None else outcome.outcome_id,
        status=None if outcome is None else outcome.status,
        outcome=outcome,
        budget=budget,
        balance_cents=balance_cents,
    )
    return http_response(encode(body), status, {**headers, "X-Request-Id": id})
