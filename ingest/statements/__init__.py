"""Statements: what a customer owes for a month, line by line, from the ledger."""

from ingest.statements.statement_handlers import routes as routes
