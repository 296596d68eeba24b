"""Compares the ledger's rows of one record of the log with the expected rows. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.outcome_terms import ADDED_TERMS
from tools.verify.amounts import amounts_of_row
from tools.verify.model import ExpectedRows
from tools.verify.row_values import COLUMNS, STEPPED, Row, canonical, loads
from tools.verify.sources import KEYED

SPECIAL = ("body_hash", "reason", "metadata", "detail", "entries_offset")
PLAIN = tuple(column for column in COLUMNS if column not in SPECIAL)
UNSTATED = {term.shown_as: 0 for term in ADDED_TERMS if term.kind == "price"}
"""Prices that the objects of older releases lack."""


class Difference(NamedTuple):
    """One disagreement between log and ledger. ``what``: missing, extra, doubled or value (of ``column``)
    for rows, log for a record of the log that should not exist. ``place`` is the event's index in its
    command."""

    what: str
    partition: int
    offset: int
    place: int
    column: str = ""
    expected: Any = None
    ledger: Any = None

    @property
    def event_id(self) -> int:
        return self.offset * 65536 + self.partition * 1024 + self.place


def compare(partition: int, expected: ExpectedRows, rows: Iterable[Row]) -> list[Difference]:
    """Return every difference between one record's rows and the expected rows: those of the option that
    agrees best. ``expected.options`` None compares nothing."""
    found = list(rows)
    problems = [Difference("log", partition, expected.offset, 0, ledger=expected.problem)] if expected.problem else []
    if expected.options is None:
        return problems
    against = [_against(partition, expected.offset, option, found) for option in expected.options]
    return problems + min(against, key=len)


def _against(partition: int, offset: int, option: list[Row], rows: list[Row]) -> list[Difference]:
    wanted = {row["raw_index"]: row for row in option}
    seen: dict[int, Row] = {}
    found: list[Difference] = []
    for row in rows:
        index = row["raw_index"]
        if index in seen:
            found.append(Difference("doubled", partition, offset, index, ledger=_named(row)))
            continue
        seen[index] = row
        if index in wanted:
            found += _values(partition, offset, index, wanted[index], row)
        else:
            found.append(Difference("extra", partition, offset, index, ledger=_named(row)))
    missing = [row for index, row in wanted.items() if index not in seen]
    return found + [Difference("missing", partition, offset, row["raw_index"], expected=_named(row)) for row in missing]


def _values(partition: int, offset: int, index: int, wanted: Row, row: Row) -> list[Difference]:
    if wanted.get(STEPPED):
        # how much the month had counted is older than the log, so the row need only agree with itself
        wanted = {**wanted, **(amounts_of_row(row) or {}), "price_base": row["price_base"]}
    pairs = [(column, wanted[column], row[column]) for column in PLAIN if wanted[column] != row[column]]
    pairs += _special(wanted, row)
    return [Difference("value", partition, offset, index, *pair) for pair in pairs]


def _special(wanted: Row, row: Row) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    if wanted["metadata"] != (shown := _json(row["metadata"])):
        found.append(("metadata", wanted["metadata"], shown))
    hashed = wanted["kind"] in KEYED and wanted["idempotency_key"] != ""
    if hashed != (row["body_hash"] != ""):
        found.append(("body_hash", "a hash" if hashed else "", row["body_hash"]))
    refused = wanted["kind"] == "rejected"
    if row["reason"] != wanted["reason"] and not (refused and row["reason"]):
        found.append(("reason", "a reason" if refused else wanted["reason"], row["reason"]))
    elif refused and not row["reason"]:
        found.append(("reason", "a reason", ""))
    return found + _detail(wanted["detail"] or {}, row["detail"])


def _detail(wanted: Mapping[str, Any], text: str) -> list[tuple[str, Any, Any]]:
    """Compare the minimum that the object of a configuration, an outcome or a void must contain."""
    if not wanted:
        return [("detail", "", text)] if text else []
    try:
        shown = loads(text)
    except ValueError:
        return [("detail", dict(wanted), text)]
    shown = UNSTATED | shown
    return [(f"detail.{n}", v, shown.get(n)) for n, v in wanted.items() if _number(shown.get(n), v) != v]


def _number(shown: Any, like: Any) -> Any:
    """Return a JSON number as the Decimal to compare it with."""
    if isinstance(like, Decimal) and isinstance(shown, int | str) and not isinstance(shown, bool):
        return Decimal(str(shown).removeprefix("\0"))
    return shown


def _json(text: str) -> str:
    """Return the ledger's JSON text as `canonical` writes it; the text itself if it is not JSON."""
    if not text:
        return ""
    try:
        return canonical(loads(text))
    except ValueError:
        return text


def _named(row: Row) -> str:
    """Return a row in a few words."""
    what = row["config_type"] or row["action"] or "-"
    return f"{row['kind']} {what} of {row['customer_id'] or '-'}, {row['total_cents']:f} cents"
