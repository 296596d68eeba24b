"""Ledger rows as verify compares them: one dict per row, keyed by the columns of rev.entries.

Money is Decimal, times are UTC milliseconds, absent text is ''.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded
from typing import Any

from schemas.labels import LABELS
from schemas.outcome_terms import LEDGER_TERMS

Row = dict[str, Any]

EXACT = Context(prec=100, traps=[Inexact, Rounded, InvalidOperation, Overflow])
"""Arithmetic that raises rather than rounds."""
ZERO = Decimal(0)

MONEY = (
    "base_cents", "token_cents", "bonus_cents", "quantity_cents", "total_cents", "credit_cents", "price_base",
    "price_token", "price_bonus", *(term.name for term in LEDGER_TERMS if term.kind == "price"),
)  # fmt: skip
TEXTS = (
    "kind", "customer_id", "agent_id", "action", "outcome", "price_action", "price_model", "price_provider", *LABELS,
    *(term.name for term in LEDGER_TERMS if term.kind == "text"),
    "outcome_id", "on_expiry", "verdict", "idempotency_key", "body_hash", "metadata", "reason", "config_type", "actor",
    "detail", "import_id",
)  # fmt: skip
WHOLES = (
    "event_id", "api_key_id", "tokens_input", "tokens_output", "tokens", "price_id", "price_offset", "original",
    "raw_partition", "raw_offset", "raw_index", "entries_offset",
)  # fmt: skip
TIMES = ("expires_at", "event_time", "recorded_at")
FLAGS = ("price_is_default", "price_ignore_unknown", "test")
LISTS = {
    "quantities": (str, Decimal),
    "lines": (str, Decimal, Decimal, int, Decimal),
    "price_rates": (str, Decimal, int),
    "draws": (int, Decimal),
    "budgets_exceeded": (int,),
}
"""Columns with tuples, and the types of a tuple's elements."""
COLUMNS = (*MONEY, *TEXTS, *WHOLES, *TIMES, *FLAGS, *LISTS)

EMPTY: Row = {
    **dict.fromkeys(MONEY, ZERO),
    **dict.fromkeys(TEXTS, ""),
    **dict.fromkeys(WHOLES, 0),
    **dict.fromkeys(FLAGS, False),
    **dict.fromkeys(LISTS, ()),
    **dict.fromkeys(("tokens_input", "tokens_output", "original", "expires_at", "credit_cents")),
}
"""Row with the value that the ledger fills in for every unset column."""

BORROWED = "borrowed"
"""Key set in an expected row whose terms are older than the log: they come from the ledger itself."""


STEPPED = "stepped"
"""Key set in an expected row whose steps depend on counts that are older than the log."""


def whole(text: str) -> int | str:
    """Return an integer of JSON. One too long to be read keeps its digits, since it can only be metadata."""
    return int(text) if len(text) < 400 else "\0" + text


def loads(text: str | bytes) -> Any:
    """Return JSON without floats: numbers with a point or exponent keep their text."""
    return json.loads(text, parse_float=lambda number: "\0" + number, parse_int=whole)


def canonical(value: Any) -> str:
    """Return one text for equal JSON values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def event_id(partition: int, offset: int, index: int) -> int:
    """Return offset * 2^16 + partition * 2^10 + index, as in docs/api.md."""
    return offset * 65536 + partition * 1024 + index


def iso(at: int) -> str:
    """Return milliseconds UTC as ``2026-04-26T12:00:00.000Z``."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def quantities_of(event: Mapping[str, Any]) -> tuple[tuple[str, Decimal], ...]:
    """Return the quantities of a command's event as the ledger's column holds them, sorted by name."""
    return tuple(sorted((name, Decimal(text)) for name, text in event.get("quantities", {}).items()))


def add(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact sum."""
    return EXACT.add(left, right)
