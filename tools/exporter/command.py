"""`rev export`: reads the ledger and a gateway, and writes CSV files with a manifest. A repeat adds what is new."""

import argparse
import csv
import http.client
import io
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from schemas.invoice_objects import InvoiceObject
from schemas.months import MonthError, month_range
from schemas.settings import SettingError, read
from schemas.spreadsheets import safe_text
from tools.admin_call import CallFailed, add_gateway, admin_get
from tools.exporter.manifest import ExportedFile, ExportError, Manifest, add, load, write
from tools.exporter.postings import Posting, postings

FAILED = 1
KINDS = ("entries", "invoices", "lines", "journal")
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
NESTED = ("payments", "bill_to")
INVOICE_FIELDS = tuple(
    name for name in ({"start": "from", "end": "to"}.get(one, one) for one in InvoiceObject.__struct_fields__)
    if name not in NESTED
)  # fmt: skip
LINE_FIELDS = (
    "number", "customer_id", "kind", "late", "action", "model", "provider", "component", "quantity", "rate_cents",
    "per", "price_id", "event_id", "voided_event_id", "import_id", "reason", "recorded_at", "entries", "amount_cents",
)  # fmt: skip
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
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="files go to DIR/YYYY-MM")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data directory of `rev up`, for entries (REV_DATA)")
    add_gateway(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it; return 0, or FAILED. Raises SettingError."""
    try:
        month_range(arguments.month)
    except MonthError as error:
        raise SettingError(f"--month {error}") from None
    directory = arguments.to / arguments.month
    try:
        manifest = load(directory, arguments.month, "csv")
        for kind in KINDS if arguments.kind == "all" else (arguments.kind,):
            if kind == "entries":
                export_entries(directory, manifest, ledger_query(_address(arguments.data)))
            else:
                export_invoices(directory, manifest, lambda path: admin_get(arguments, path), kind)
    except (CallFailed, ExportError, OSError) as error:
        print(f"rev export: {error}", file=sys.stderr)
        return FAILED
    for one in manifest.files:
        print(f"{directory / one.name}  {one.rows} rows  sha256 {one.sha256}")
    return 0


def export_entries(directory: Path, manifest: Manifest, query: Query) -> None:
    """Write the entries of the month that no file has yet to another file, if there are any. Raises OSError."""
    before = manifest.of("entries")[-1].until if manifest.of("entries") else {}
    ends = "SELECT toString(raw_partition), toString(max(entries_offset)) FROM rev.entries GROUP BY raw_partition"
    until: dict[str, int] = {}
    for line in b"".join(query(f"{ends} FORMAT JSONCompactEachRow")).splitlines():
        partition, offset = json.loads(line)
        until[partition] = int(offset)
    parts = [
        f"(raw_partition = {int(name)} AND entries_offset > {before.get(name, -1)} AND entries_offset <= {end})"
        for name, end in sorted(until.items())
    ]
    start, end = month_range(manifest.month)
    chosen = (
        f"FROM rev.entries WHERE kind IN ('event', 'charge', 'adjustment', 'void') AND ({' OR '.join(parts) or '0'}) "
        f"AND event_time >= fromUnixTimestamp64Milli({start}, 'UTC') "
        f"AND event_time < fromUnixTimestamp64Milli({end}, 'UTC')"
    )
    rows = int(b"".join(query(f"SELECT count() {chosen} FORMAT TSV")))
    if rows:
        name = f"entries-{len(manifest.of('entries')) + 1:04d}.csv"
        selected = ", ".join(_safe(column) if column in GIVEN else column for column in COLUMNS)
        order = "ORDER BY raw_partition, entries_offset, event_id FORMAT CSVWithNames"
        size, digest = write(directory, name, query(f"SELECT {selected} {chosen} {order}"))
        add(directory, manifest, ExportedFile(name, "entries", rows, size, digest, until))


def _safe(column: str) -> str:
    """Return a column as :func:`schemas.spreadsheets.safe_text` returns its text."""
    return f"if(match({column}, '^[=+@\\\\t\\\\r-]'), concat('\\'', {column}), {column}) AS {column}"


def export_invoices(directory: Path, manifest: Manifest, get: Get, kind: str) -> None:
    """Write invoices, their lines or the journal of a closed month. Raises ExportError, CallFailed or OSError."""
    month = manifest.month
    mine = listed_invoices(get, f"month={month}")
    if not mine or any(one["number"] is None for one in mine):
        raise ExportError(f"month {month} has no final invoices yet; export it after it is closed")
    if kind == "invoices":
        rows = [[one[name] for name in INVOICE_FIELDS] for one in mine]
        _replace(directory, manifest, "invoices.csv", kind=kind, head=INVOICE_FIELDS, rows=rows)
    elif kind == "journal":
        every = listed_invoices(get, "")
        notes = {one["number"]: _one(get, one["number"])["credit_notes"] for one in every if one["credited_cents"]}
        posted = list(postings(month, every, notes))
        _replace(directory, manifest, "journal.csv", kind=kind, head=Posting._fields, rows=posted)
    else:
        there = {one.name for one in manifest.of(kind)}
        mine.sort(key=lambda one: (len(one["number"]), one["number"]))
        for number, begin in enumerate(range(0, len(mine), TOGETHER), 1):
            name = f"lines-{number:04d}.csv"
            if name not in there:  # what a final invoice is of never changes
                rows = [row for one in mine[begin : begin + TOGETHER] for row in _lines(get, one)]
                _replace(directory, manifest, name, kind=kind, head=LINE_FIELDS, rows=rows)


def _lines(get: Get, invoice: Mapping[str, Any]) -> list[list[Any]]:
    """Return the rows of an invoice's lines."""
    named = {"number": invoice["number"], "customer_id": invoice["customer_id"]}
    lines = _one(get, invoice["number"])["lines"]
    return [[{**line, **named}.get(field, "") for field in LINE_FIELDS] for line in lines]


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


def _replace(
    directory: Path, manifest: Manifest, name: str, kind: str, head: Sequence[str], rows: Sequence[Iterable[Any]]
) -> None:
    """Write a table, and name it in the manifest."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(head)
    for row in rows:
        writer.writerow([safe_text(cell) if isinstance(cell, str) else "" if cell is None else cell for cell in row])
    size, digest = write(directory, name, [file.getvalue().encode()])
    add(directory, manifest, ExportedFile(name, kind, len(rows), size, digest))
