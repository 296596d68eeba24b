"""Derives a row whose command the log no longer holds from its own quantities and rates."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from tools.verify.amounts import TOKENS, amounts_of_row
from tools.verify.compare import Difference
from tools.verify.row_values import ZERO, Row, add, event_id

PARTS = ("base_cents", "token_cents", "bonus_cents", "quantity_cents", "total_cents")


def derive(row: Row) -> list[Difference]:
    """Return a difference for every column that the others contradict."""
    at = (row["raw_partition"], row["raw_offset"], row["raw_index"])
    return [Difference("value", *at, column, wanted, row[column]) for column, wanted in _wanted(row)]


def _wanted(row: Row) -> Iterator[tuple[str, Any]]:
    """Yield the columns that are wrong, with their correct values."""
    wanted: dict[str, Any] = {"event_id": event_id(row["raw_partition"], row["raw_offset"], row["raw_index"])}
    if row["kind"] == "event":
        wanted |= _of_event(row)
    elif row["kind"] in ("rejected", "config"):
        wanted |= dict.fromkeys(PARTS, ZERO)
    elif row["kind"] == "registered":
        wanted |= dict.fromkeys(PARTS, ZERO) | {"outcome_id": f"oc_{wanted['event_id']}"}
    elif row["kind"] in ("charge", "waived"):
        nothing = dict.fromkeys(("base_cents", "token_cents", "quantity_cents"), ZERO)
        wanted |= {**nothing, "total_cents": row["bonus_cents"]}
    else:
        wanted["total_cents"] = reduce(add, (row[part] for part in PARTS[:-1]))
    if row["credit_cents"] is not None:
        wanted["credit_cents"] = reduce(add, (cents for _, cents in row["draws"]), ZERO)
    yield from ((column, value) for column, value in wanted.items() if row[column] != value)


def _of_event(row: Row) -> dict[str, Any]:
    wanted: dict[str, Any] = dict(amounts_of_row(row) or {"kind": "rejected"})
    pending = row["outcome"] == "pending"
    wanted["outcome_id"] = (
        f"oc_{event_id(row['raw_partition'], row['raw_offset'], row['raw_index'])}" if pending else ""
    )
    halves = [row[name] for name in ("tokens_input", "tokens_output") if row[name] is not None]
    kinds = [*halves, *(int(quantity) for name, quantity in row["quantities"] if name in TOKENS)]
    if kinds:
        wanted["tokens"] = sum(kinds)
    return wanted
