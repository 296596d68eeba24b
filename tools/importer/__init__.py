"""`rev import`: sends a usage file through the public HTTP API, every row charged once.

It is an ordinary client: it uses only what docs/api.md offers, and nothing of the gateway, the log or the
database belongs here. The ledger shows, by the keys of the rows, what of a file is charged already; that is
compared with what the file says now.
"""

from tools.importer.command import on_terminal, run
from tools.importer.list_command import run as run_list
from tools.importer.options import configure, configure_list

__all__ = ["configure", "configure_list", "on_terminal", "run", "run_list"]
