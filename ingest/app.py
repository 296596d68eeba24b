"""The whole gateway, assembled in one place, top to bottom. Nothing is decided here."""

from aiohttp import web

from ingest import admin, metering, openapi, outcomes, probes, webhooks
from ingest.boundary import boundary
from ingest.context import Context
from ingest.reads import handlers as reads
from ingest.reads import imports, lookup
from ingest.routing import Route
from ingest.shedding import Shedder
from schemas.limits import MAX_BATCH_BODY


def table(context: Context, shedder: Shedder) -> list[Route]:
    """Every route of the gateway."""
    rows = [
        *metering.routes(context),
        *outcomes.routes(context),
        *webhooks.routes(context),
        *reads.routes(context),
        *lookup.routes(context),
        *imports.routes(context),
        *admin.routes(context),
        *probes.routes(context, shedder),
    ]
    return [*rows, openapi.route(rows)]


def application(context: Context, shedder: Shedder) -> web.Application:
    """The gateway as an aiohttp application, to be run by ingest.serving."""
    app = web.Application(middlewares=[boundary], client_max_size=MAX_BATCH_BODY)
    app.add_routes([row.definition() for row in table(context, shedder)])
    return app
