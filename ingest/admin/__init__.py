"""The admin API: keys, prices, customers.

Every change is a configuration command in the log, answered when this gateway's own view holds it.
Every list is read from that view.
"""

from ingest.admin import bulk_prices, customers, keys, prices
from ingest.context import Context
from ingest.routing import Route


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [*keys.routes(context), *prices.routes(context), *bulk_prices.routes(context), *customers.routes(context)]
