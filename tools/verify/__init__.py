"""`rev verify`: prices the log again with an independent model and compares it with the ledger row by row.

The model is written from docs/api.md and docs/verify.md alone. Nothing of the pricer, and no arithmetic on
money from schemas, belongs here: a mistake that both share would be invisible. It reads JSON with the json
module and computes with decimal.Decimal.
"""

from tools.verify.command import configure, run

__all__ = ["configure", "run"]
