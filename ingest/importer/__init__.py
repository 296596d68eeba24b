"""`rev import`: a usage file through the public HTTP API, every row charged once.

A client like any other: nothing of the gateway, the log or the database may come in here,
only what docs/api.md offers. A batch (a range of rows fixed by the file's content alone) is
the unit that is wholly in the ledger or not at all.
"""

from ingest.importer.command import configure, run

__all__ = ["configure", "run"]
