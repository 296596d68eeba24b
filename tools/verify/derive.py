"""Derives a row whose command the log no longer holds from its own quantities and rates."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from tools.verify.compare import Difference
from tools.verify.row_values import ZERO, Row, add, amounts, event_id

PARTS = ("base_cents", "token_cents", "bonus_cents", "total_cents")


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
        wanted |= {"base_cents": ZERO, "token_cents": ZERO, "total_cents": row["bonus_cents"]}
    else:
        parts = (row["base_cents"], row["token_cents"], row["bonus_cents"])
        wanted["total_cents"] = reduce(add, parts)
    yield from ((column, value) for column, value in wanted.items() if row[column] != value)


def _of_event(row: Row) -> dict[str, Any]:
    success = row["outcome"] == "success"
    parts = amounts(row["price_base"], row["price_token"], row["price_bonus"], row["tokens"], success)
    wanted: dict[str, Any] = dict(zip(PARTS, parts, strict=True))
    pending = row["outcome"] == "pending"
    wanted["outcome_id"] = (
        f"oc_{event_id(row['raw_partition'], row['raw_offset'], row['raw_index'])}" if pending else ""
    )
    if row["tokens_input"] is not None or row["tokens_output"] is not None:
        wanted["tokens"] = (row["tokens_input"] or 0) + (row["tokens_output"] or 0)
    return wanted
