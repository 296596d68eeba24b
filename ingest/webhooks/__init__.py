"""Webhooks: endpoints of a customer, what was delivered to them, tests and replays.

Endpoints are configuration: a change is a command in the log, answered when this gateway sees it.
The gateway makes the secrets, shows each once and encrypts it before the append. Nothing is sent
to an endpoint from here.
"""

from ingest.context import Context
from ingest.routing import Route
from ingest.webhooks.delivery_handlers import routes as of_deliveries
from ingest.webhooks.endpoint_handlers import routes as of_endpoints


def routes(context: Context) -> list[Route]:
    """The routes of this module."""
    return [*of_endpoints(context), *of_deliveries(context)]
