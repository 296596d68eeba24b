"""/livez, /readyz and /metrics: liveness, readiness and metrics of this gateway."""

import asyncio

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest import metrics
from ingest.auth import STALE_AFTER
from ingest.context import Context
from ingest.middleware import http_response
from ingest.responses import ReadinessResponse, encode
from ingest.routing import Auth, Operation, Route
from ingest.shedding import Shedder
from warehouse.errors import ReadsUnavailable

PATIENCE = 0.5
"""Seconds that the ledger has to show that it can be read; callers of /readyz wait 2 s."""


def routes(context: Context, shedder: Shedder) -> list[Route]:
    """Return the routes of this module."""

    async def livez(request: web.Request) -> web.Response:
        return http_response(encode(ReadinessResponse(True, [], [])))

    async def readyz(request: web.Request) -> web.Response:
        why = reasons(context)
        return http_response(encode(ReadinessResponse(not why, why, await degraded(context))), 503 if why else 200)

    async def figures(request: web.Request) -> web.Response:
        metrics.VIEW_AGE.set(context.follower.confirmed_age())
        for shard, lag in shedder.lags().items():
            metrics.SHARD_LAG.labels(str(shard)).set(lag)
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    get, none = hdrs.METH_GET, Auth.NONE
    both = {200: ReadinessResponse, 503: ReadinessResponse}
    return [
        Route(Operation(get, "/livez", "Check that the process runs.", none, {200: ReadinessResponse}), livez),
        Route(
            Operation(get, "/readyz", "Check that the gateway is ready for traffic; reasons says why not.", none, both),
            readyz,
        ),
        Route(Operation(get, "/metrics", "Get the metrics as Prometheus text.", none, {200: None}), figures),
    ]


def reasons(context: Context) -> list[str]:
    """Return the reasons why the gateway is not ready; empty when it may receive traffic."""
    why: list[str] = []
    if not context.appender.ready:
        why.append("kafka: the log does not accept appends")
    if not context.replies.ready:
        why.append("replies: the position in rev.replies is not known yet")
    age = context.follower.confirmed_age()
    if age > STALE_AFTER:
        why.append(f"config: rev.config was last confirmed {age:.1f} s ago")
    if context.reserve.problem is not None:
        why.append(context.reserve.problem)
    return why


async def degraded(context: Context) -> list[str]:
    """Return what is missing without making the gateway unready: without ClickHouse only reads are 503."""
    if context.clickhouse is None:
        return []
    try:
        async with asyncio.timeout(PATIENCE):
            await context.clickhouse.ready()
    except ReadsUnavailable as error:
        return [f"clickhouse: no answer to {error.what!r}"]
    except TimeoutError:
        return [f"clickhouse: no answer within {PATIENCE:g} s"]
    return []
