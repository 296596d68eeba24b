"""`rev export`: reads the ledger and a gateway, and writes CSV or Parquet files. A repeat adds what is new.

ClickHouse writes the entries in either format, so there may be any number of them; their amounts are Decimal(38, 12).
"""

import argparse
import http.client
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from schemas import table_files
from schemas.months import MonthError, month_range
from schemas.parquet_file import Column
from schemas.settings import SettingError, read
from tools.admin_call import CallFailed, add_gateway, admin_get
from tools.exporter.credit_postings import credit_postings
from tools.exporter.destinations import ExportError, open_destination
from tools.exporter.manifest import Export, Format, load
from tools.exporter.paid_grants import paid_grants
from tools.exporter.postings import postings
from tools.exporter.tables import INVOICES, JOURNAL, LINES, cells

FAILED = 1
KINDS = ("entries", "invoices", "lines", "journal")
FORMATS: tuple[Format, ...] = ("csv", "parquet")
CLICKHOUSE_FORMATS = {"csv": "CSVWithNames", "parquet": "Parquet"}
TOGETHER = 500
"""Invoices whose lines are in one file."""
TIMEOUT = 600
"""Seconds of one request."""
COLUMNS = (
    "kind", "event_id", "customer_id", "test", "agent_id", "action", "model", "provider", "import_id", "event_time",
    "recorded_at", "base_cents", "token_cents", "quantity_cents", "bonus_cents", "total_cents", "credit_cents",
    "price_id", "original", "reason",
)  # fmt: skip
GIVEN = ("customer_id", "agent_id", "action", "model", "provider", "import_id", "reason")
"""Columns that hold text of senders."""
Get = Callable[[str], Any]
Query = Callable[[str], Iterator[bytes]]


class LedgerAddress(NamedTuple):
    """Where ClickHouse is, and a user who may read rev.entries."""

    url: str
    user: str
    password: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("kind", choices=[*KINDS, "all"], help="what to write")
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="the calendar month, UTC")
    parser.add_argument(
        "--to", required=True, metavar="DIR", help="files go to DIR/YYYY-MM, or s3://BUCKET/PREFIX/YYYY-MM"
    )
    parser.add_argument("--format", choices=FORMATS, default="csv", help="csv (the default) or parquet")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data directory of `rev up`, to read the ledger (REV_DATA)"
    )
    add_gateway(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0, or FAILED. Raises SettingError."""
    try:
        month_range(arguments.month)
    except MonthError as error:
        raise SettingError(f"--month {error}") from None
    kinds = KINDS if arguments.kind == "all" else (arguments.kind,)
    try:
        place = open_destination(arguments.to, arguments.month)
        try:
            export = load(place, arguments.month, arguments.format)
            for kind in kinds:
                if kind == "entries":
                    export_entries(export, ledger_query(_address(arguments.data)))
                elif kind == "journal":
                    export_postings(export, partial(admin_get, arguments), ledger_query(_address(arguments.data)))
                else:
                    export_invoices(export, partial(admin_get, arguments), kind)
        finally:
            place.close()
    except (CallFailed, ExportError, OSError) as error:
        print(f"rev export: {error}", file=sys.stderr)
        return FAILED
    for one in export.manifest.files:
        print(f"{place.where(one.name)}  {one.rows} rows  sha256 {one.sha256}")
    return 0


def export_entries(export: Export, query: Query) -> None:
    """Write the entries of the month that no file has yet to another file, if there are any.

    Raises ExportError or OSError.
    """
    written, format = export.of("entries"), export.manifest.format
    before = written[-1].until if written else {}
    ends = "SELECT toString(raw_partition), toString(max(entries_offset)) FROM rev.entries GROUP BY raw_partition"
    until: dict[str, int] = {}
    for line in b"".join(query(f"{ends} FORMAT JSONCompactEachRow")).splitlines():
        partition, offset = json.loads(line)
        until[partition] = int(offset)
    parts = [
        f"(raw_partition = {int(name)} AND entries_offset > {before.get(name, -1)} AND entries_offset <= {end})"
        for name, end in sorted(until.items())
    ]
    start, end = month_range(export.manifest.month)
    chosen = (
        f"FROM rev.entries WHERE kind IN ('event', 'charge', 'adjustment', 'void') AND ({' OR '.join(parts) or '0'}) "
        f"AND event_time >= fromUnixTimestamp64Milli({start}, 'UTC') "
        f"AND event_time < fromUnixTimestamp64Milli({end}, 'UTC')"
    )
    rows = int(b"".join(query(f"SELECT count() {chosen} FORMAT TSV")))
    if rows:
        # only a spreadsheet takes text for formulas
        unsafe = GIVEN if format == "csv" else ()
        selected = ", ".join(_safe(column) if column in unsafe else column for column in COLUMNS)
        order = f"ORDER BY raw_partition, entries_offset, event_id FORMAT {CLICKHOUSE_FORMATS[format]}"
        stem = f"entries-{len(written) + 1:04d}"
        export.add(stem, "entries", rows, query(f"SELECT {selected} {chosen} {order}"), until)


def _safe(column: str) -> str:
    """Return a column as :func:`schemas.spreadsheets.safe_text` returns its text."""
    return f"if(match({column}, '^[=+@\\\\t\\\\r-]'), concat('\\'', {column}), {column}) AS {column}"


def export_invoices(export: Export, get: Get, kind: str) -> None:
    """Write invoices or their lines of a closed month. Raises ExportError, CallFailed or OSError."""
    mine = _final_invoices(get, export.manifest.month)
    if kind == "invoices":
        _add(export, "invoices", kind, INVOICES, mine)
    else:
        there = {one.name for one in export.of(kind)}
        mine.sort(key=lambda one: (len(one["number"]), one["number"]))
        for number, begin in enumerate(range(0, len(mine), TOGETHER), 1):
            stem = f"lines-{number:04d}"
            if export.name(stem) not in there:  # what a final invoice is of never changes
                rows = [row for one in mine[begin : begin + TOGETHER] for row in _lines(get, one)]
                _add(export, stem, kind, LINES, rows)


def export_postings(export: Export, get: Get, query: Query) -> None:
    """Write the journal of a closed month. Raises ExportError, CallFailed or OSError."""
    month = export.manifest.month
    _final_invoices(get, month)
    every = listed_invoices(get, "")
    notes = {one["number"]: _one(get, one["number"])["credit_notes"] for one in every if one["credited_cents"]}
    posted = [*postings(month, every, notes), *credit_postings(month, paid_grants(query, get, month))]
    _add(export, "journal", "journal", JOURNAL, [one._asdict() for one in posted])


def _final_invoices(get: Get, month: str) -> list[Mapping[str, Any]]:
    """Return the invoices of a closed month. Raises ExportError for one that is not closed, and CallFailed."""
    mine = listed_invoices(get, f"month={month}")
    if not mine or any(one["number"] is None for one in mine):
        raise ExportError(f"month {month} has no final invoices yet; export it after it is closed")
    return mine


def _lines(get: Get, invoice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an invoice's lines with its number and customer."""
    named = {"number": invoice["number"], "customer_id": invoice["customer_id"]}
    return [{**line, **named} for line in _one(get, invoice["number"])["lines"]]


def listed_invoices(get: Get, filters: str) -> list[Mapping[str, Any]]:
    """Return all invoices that a filter lets through, the first number first."""
    found: list[Mapping[str, Any]] = []
    cursor = ""
    while True:
        page = get(f"/api/admin/invoices?limit=1000&{filters}{cursor}".rstrip("&"))
        found += page["invoices"]
        if page["next_cursor"] is None:
            return sorted(found, key=lambda one: (one["number"] is None, len(one["number"] or ""), one["number"] or ""))
        cursor = ("&" if filters else "") + f"cursor={quote(page['next_cursor'])}"


def ledger_query(where: LedgerAddress) -> Query:
    """Return a function that runs a query and yields its result in pieces."""

    def run_query(sql: str) -> Iterator[bytes]:
        headers = {"X-ClickHouse-User": where.user, "X-ClickHouse-Key": where.password}
        request = urllib.request.Request(where.url, data=sql.encode(), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                while piece := answer.read(1 << 20):
                    yield piece
        except http.client.HTTPException as error:  # the server ends an answer so that breaks off
            raise ExportError(f"the ledger's answer breaks off: {error!r}") from error

    return run_query


def _address(data: Path | None) -> LedgerAddress:
    """Return the address from the environment, or from DIR/run.json. Raises ExportError."""
    settings = read(os.environ)
    if data is None and "REV_CLICKHOUSE_URL" in os.environ:
        return LedgerAddress(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    path = (data or settings.data) / "run.json"
    try:
        found = json.loads(path.read_text())
        return LedgerAddress(found["clickhouse"], *found["analyst"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(f"{path} does not say where ClickHouse is; set --data or REV_CLICKHOUSE_URL") from None


def _one(get: Get, number: str) -> Any:
    return get(f"/api/admin/invoices/{number}")


def _add(export: Export, stem: str, kind: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table, and name it in the manifest."""
    made = [cells(columns, row) for row in rows]
    export.add(stem, kind, len(rows), [table_files.whole(export.manifest.format, columns, made)])
