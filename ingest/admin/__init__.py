"""The admin API: keys, prices, customers, budgets, prepaid credit.

Every change of keys, prices and customers is a configuration command in the log, answered when this gateway's own view
holds it; their lists are read from that view. Budgets and credit are in the customer's shard, which answers
for them.
"""

from ingest.admin import (
    anchor_handlers,
    budget_handlers,
    bulk_prices,
    credit_handlers,
    customers,
    keys,
    prices,
    unpriced_list,
)
from ingest.context import Context
from ingest.routing import Route


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [
        *keys.routes(context),
        *prices.routes(context),
        *bulk_prices.routes(context),
        *customers.routes(context),
        *anchor_handlers.routes(context),
        *budget_handlers.routes(context),
        *credit_handlers.routes(context),
        *unpriced_list.routes(context),
    ]
