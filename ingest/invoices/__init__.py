"""Invoices: read them, record payments, close a month. The collector has them; the gateway asks it."""

from ingest.invoices.invoice_handlers import routes as routes
