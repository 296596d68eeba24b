"""Takes outcomes older than the log from the ledger's rows, which must be consistent: each outcome closed
once, at the terms it was opened with, by the verdict that its time allows.
"""

from collections.abc import Iterator
from typing import Any

from tools.verify.compare import Difference
from tools.verify.outcome_model import OutcomeModel, OutcomeModels, closing_price, object_of, opened_by
from tools.verify.row_values import Row


def inherit(outcomes: OutcomeModels, row: Row) -> Iterator[Difference]:
    """Take in the next row about outcomes, in the order of the log. Yield differences that the rows before
    contradict."""
    at = (row["raw_partition"], row["raw_offset"], row["raw_index"])
    if row["kind"] in ("charge", "waived"):
        outcome = outcomes.of_event(row["original"] or 0)
        for column, wanted in _closing(outcome, row):
            yield Difference("value", *at, column, wanted, row[column])
        if outcome is not None and not outcome.verdict:
            outcomes.put(outcome._replace(verdict=row["verdict"], closed_by=row["event_id"]))
    elif row["kind"] == "void":
        if outcomes.voided(row["original"] or 0) is not None:
            yield Difference("value", *at, "original", "what was not voided before", row["original"])
        outcomes.void(row["original"] or 0, row["customer_id"], charge=row["config_type"] == "charge")
    else:
        outcomes.inherit(opened_by(row, object_of(row["detail"]), inherited=True))


def _closing(outcome: OutcomeModel | None, row: Row) -> Iterator[tuple[str, Any]]:
    if outcome is None or outcome.verdict:
        yield "original", "an outcome that was open" if outcome is None else f"one that had not {outcome.verdict}"
        return
    expired = row["recorded_at"] >= outcome.expires_at
    if (row["verdict"] == "expired") != expired:
        yield "verdict", "expired" if expired else "succeeded or failed"
    charge = closing_price(outcome, row["verdict"])
    wanted: Row = {
        **outcome.kept,
        "outcome_id": outcome.id,
        "expires_at": outcome.expires_at,
        "total_cents": charge,
        "kind": "charge" if charge else "waived",
    }
    yield from ((column, value) for column, value in wanted.items() if row[column] != value)
