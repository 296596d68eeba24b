"""Outcomes: tasks and events whose price depends on the result, and voids of charges.

The customer's shard decides everything here, in the order of its log. The gateway refuses what is
visibly wrong, sends the command, and passes the reply on. Only lists come from the ledger.
"""

from ingest.context import Context
from ingest.outcomes import outcome_handlers, outcome_lists, void_batches, voids
from ingest.routing import Route


def routes(context: Context) -> list[Route]:
    """Return the routes of this module."""
    return [
        *outcome_handlers.routes(context),
        *outcome_lists.routes(context),
        *voids.routes(context),
        *void_batches.routes(context),
    ]
