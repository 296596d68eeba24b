"""`rev import`: a usage file through the public HTTP API, every row charged once.

A client like any other: nothing of the gateway, the log or the database may come in here,
only what docs/api.md offers. What of a file is charged already is known from the ledger, by
the keys of its rows, and held against what the file says now.
"""

from tools.importer.command import on_terminal, run
from tools.importer.list_command import run as run_list
from tools.importer.options import configure, configure_list

__all__ = ["configure", "configure_list", "on_terminal", "run", "run_list"]
