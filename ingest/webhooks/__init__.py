"""Webhooks: the endpoints of a customer, their deliveries, tests and replays.

Endpoints are configuration: a change is a command in the log, answered when this gateway's view holds
it. The gateway makes the secrets, shows each once and encrypts it before the append. It sends nothing
to an endpoint.
"""

from ingest.context import Context
from ingest.routing import Route
from ingest.webhooks.admin_handlers import routes as for_admins
from ingest.webhooks.delivery_handlers import routes as of_deliveries
from ingest.webhooks.endpoint_handlers import routes as of_endpoints


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [*of_endpoints(context), *of_deliveries(context), *for_admins(context)]
