"""Outcomes: tasks and events whose price depends on the result, and voids of what was charged.

Everything here is decided by the customer's shard, in the order of its log; the gateway refuses
what it can see to be wrong, asks, and passes the answer on. Only lists come from the ledger.
"""

from ingest.context import Context
from ingest.outcomes import outcome_handlers, outcome_lists, void_batches, voids
from ingest.routing import Route


def routes(context: Context) -> list[Route]:
    """The routes of this module."""
    return [
        *outcome_handlers.routes(context),
        *outcome_lists.routes(context),
        *voids.routes(context),
        *void_batches.routes(context),
    ]
