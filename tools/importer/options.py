"""Reads and checks the options of `rev import` and `rev imports`."""

import argparse
import os
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

from schemas.settings import http_url
from tools.importer.columns import ALL_FIELDS, Columns, pairs
from tools.importer.row_keys import IMPORT
from tools.importer.timestamps import Dst, zone_of


class UsageError(Exception):
    """Error: the command cannot be carried out as typed."""


class Access(NamedTuple):
    """Server and credentials: ``customer`` is --customer; ``token`` is the admin token."""

    url: str
    key: str
    customer: str | None
    patience: float
    token: str | None = None


class Options(NamedTuple):
    """Options of one import. ``dst``: which one is meant of two times that a clock change repeats."""

    path: Path
    columns: Columns
    zone: tzinfo
    dst: Dst | None
    excel_dates: bool
    keep: bool
    no_tokens: bool
    other_customer: bool
    delimiter: str | None
    in_flight: int
    dry_run: bool
    yes: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rev import`."""
    parser.description = (
        "Import a usage file (.csv, .tsv, .jsonl, .json, .parquet) through the HTTP API. You can repeat an import: no"
        " row is charged twice."
    )
    parser.add_argument("file", metavar="FILE", help="the file; with --undo, the file or the id of an import")
    _access(parser)
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FIELD=COLUMN,…",
        help=f"read FIELD from COLUMN; fields: {ALL_FIELDS}",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE,…", help="set FIELD to VALUE in every row"
    )
    parser.add_argument(
        "--no-tokens", action="store_true", help="the file has no tokens or quantities: charge base prices only"
    )
    parser.add_argument(
        "--other-customer", action="store_true", help="charge the file even if another customer was charged for it"
    )
    parser.add_argument("--tz", default="UTC", help="time zone of times without an offset (UTC)")
    parser.add_argument(
        "--dst", choices=("earlier", "later"), help="which of two equal local times is meant when the clocks go back"
    )
    parser.add_argument(
        "--excel-dates", action="store_true", help="read numbers such as 45982.5 as a spreadsheet's dates"
    )
    parser.add_argument("--metadata", action="store_true", help="keep unknown columns as metadata")
    parser.add_argument("--delimiter", help="separator of the cells of a .csv (,)")
    parser.add_argument("--in-flight", type=int, default=6, metavar="N", help="number of batches sent at once (6)")
    parser.add_argument("--dry-run", action="store_true", help="show what would be charged, and charge nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--undo", action="store_true", help="void everything that the import charged")
    token = os.environ.get("REV_ADMIN_TOKEN")
    parser.add_argument("--token", default=token, help="with --undo: the admin token (REV_ADMIN_TOKEN)")


def configure_list(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rev imports`."""
    parser.description = "List the imports of a customer with their totals."
    _access(parser)


def _access(parser: argparse.ArgumentParser) -> None:
    env = os.environ
    parser.add_argument("--url", default=env.get("REV_URL"), help="URL of the gateway (REV_URL)")
    parser.add_argument("--key", default=env.get("REV_API_KEY"), help="API key (REV_API_KEY)")
    parser.add_argument("--customer", help="with a platform key: the customer to charge")
    parser.add_argument(
        "--patience", type=float, default=120.0, metavar="S", help="give up after S seconds without a response (120)"
    )


def access(args: argparse.Namespace) -> Access:
    """Return the server and credentials. Raises UsageError, or SettingError for an invalid --url."""
    if not args.url or not args.key:
        raise UsageError("--url and --key are required (or REV_URL and REV_API_KEY)")
    http_url("--url", args.url)
    return Access(args.url, args.key, args.customer, args.patience, getattr(args, "token", None))


def options(args: argparse.Namespace) -> Options:
    """Return the options of an import. Raises UsageError, MappingError."""
    if args.in_flight < 1:
        raise UsageError("--in-flight must be at least 1")
    if args.delimiter is not None and (len(args.delimiter) != 1 or args.delimiter in '"\r\n'):
        raise UsageError("--delimiter must be one character, and not a quote")
    try:
        zone = zone_of(args.tz)
    except ValueError as error:
        raise UsageError(f"--tz: {error}") from None
    columns = Columns(pairs("--map", args.map), pairs("--set", args.set))
    return Options(
        path=Path(args.file),
        columns=columns,
        zone=zone,
        dst=args.dst,
        excel_dates=args.excel_dates,
        keep=args.metadata,
        no_tokens=args.no_tokens,
        other_customer=args.other_customer,
        delimiter=args.delimiter,
        in_flight=args.in_flight,
        dry_run=args.dry_run,
        yes=args.yes,
    )


def is_import_id(text: str) -> bool:
    """True if the FILE of an undo is the id of an import."""
    return text.startswith(IMPORT) and not Path(text).exists()
