"""The assembly of the gateway: its routes and its application. It decides nothing."""

from aiohttp import web

from ingest import admin, invoices, metering, openapi, outcomes, probes, reservation_handlers, statements, webhooks
from ingest.context import Context
from ingest.dialects import dialect_handlers, explain, job_handlers
from ingest.middleware import direct, error_middleware
from ingest.reads import event_lookup, import_lists, own_key, spending_reads
from ingest.reads import handlers as reads
from ingest.routing import Route
from ingest.serving import DIRECT
from ingest.shedding import Shedder
from ingest.web_proxy import WebProxy
from schemas.limits import MAX_BATCH_BODY


def table(context: Context, shedder: Shedder) -> list[Route]:
    """Return every route of the gateway."""
    rows = [
        *metering.routes(context),
        *explain.routes(context),
        *dialect_handlers.routes(context),
        *job_handlers.routes(context),
        *outcomes.routes(context),
        *webhooks.routes(context),
        *reads.routes(context),
        *event_lookup.routes(context),
        *import_lists.routes(context),
        *statements.routes(context),
        *spending_reads.routes(context),
        *reservation_handlers.routes(context),
        *own_key.routes(context),
        *invoices.routes(context),
        *admin.routes(context),
        *probes.routes(context, shedder),
    ]
    return [*rows, openapi.route(rows)]


def application(context: Context, shedder: Shedder, pages: WebProxy | None = None) -> web.Application:
    """Return the gateway as an aiohttp application, to be run by ingest.serving; ``pages``: where `rev web` is."""
    app = web.Application(middlewares=[error_middleware], client_max_size=MAX_BATCH_BODY)
    app.add_routes([row.definition() for row in table(context, shedder)])
    busiest = [(row.operation, row.handler) for row in metering.routes(context)]
    app[DIRECT] = {(asked.method, asked.path): direct(handler, asked.path) for asked, handler in busiest}
    if pages is not None:
        app.add_routes([pages.route()])
    return app
