"""Invoices: read them, record payments, close a month, bring them to Stripe. The gateway asks the collector."""

from ingest.context import Context
from ingest.invoices import billing_handlers, invoice_handlers, stripe_handlers
from ingest.routing import Route


def routes(context: Context) -> list[Route]:
    """Return the routes of this package."""
    return [
        *invoice_handlers.routes(context),
        *billing_handlers.routes(context),
        *stripe_handlers.routes(context),
    ]
