"""Command line of `rev verify`: options in, an exit code out."""

import argparse
import asyncio
import json
import os
import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import aiohttp
from rich.console import Console

from schemas.settings import SettingError, read
from tools.verify import report
from tools.verify.check import Check, Totals
from tools.verify.clickhouse import ClickHouseLedger
from tools.verify.kafka import KafkaLog
from tools.verify.sources import CannotRun, Selection

AGREE, DIFFER, COULD_NOT_RUN = 0, 1, 2


class Where(NamedTuple):
    """Addresses of log and ledger."""

    kafka: str
    clickhouse: str
    user: str
    password: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rev verify`."""
    parser.description = "Price the log again with an independent model and compare the ledger with it, row by row."
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="data directory of a running `rev up` (otherwise REV_KAFKA and so on)"
    )
    parser.add_argument("--customer", metavar="ID", help="only this customer's rows")
    parser.add_argument("--from", dest="start", metavar="TIME", help="only what was accepted at or after this time")
    parser.add_argument("--to", dest="end", metavar="TIME", help="only what was accepted before this time")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="maximum number of differences to show (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all differences and the summary to FILE")
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="S", help="give the ledger S seconds to catch up (60)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the comparison. Return 0: log and ledger agree; 1: they differ; 2: they could not be compared."""
    errors = Console(stderr=True)
    try:
        where = _where(args.data)
        selection = Selection(args.customer, _moment("--from", args.start), _moment("--to", args.end))
        with ExitStack() as opened:
            file = report.opened(args.json)
            if file is not None:
                opened.callback(file.close)
            said = report.Report(args.show, file)
            totals = asyncio.run(_compare(where, selection, said, args.wait))
            said.close(totals)
    except (CannotRun, SettingError, OSError) as error:
        errors.print(f"rev verify: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return COULD_NOT_RUN
    report.show(Console(), totals, said.first)
    return DIFFER if totals.differences else AGREE


async def _compare(where: Where, selection: Selection, said: report.Report, wait: float) -> Totals:
    async with aiohttp.ClientSession() as session, KafkaLog(where.kafka) as log:
        ledger = ClickHouseLedger(session, where.clickhouse, where.user, where.password)
        return await Check(log, ledger, selection, said.add, patience=wait).run()


def _where(data: Path | None) -> Where:
    """Return the addresses from DIR/run.json, or from the environment if no directory is given."""
    if data is None and "REV_KAFKA" in os.environ:
        settings = read(os.environ)
        return Where(settings.kafka, settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    path = (data or Path(os.environ.get("REV_DATA") or "rev-data")) / "run.json"
    try:
        found = json.loads(path.read_text())
        user, password = found["analyst"]
        return Where(found["kafka"], found["clickhouse"], user, password)
    except (FileNotFoundError, NotADirectoryError):
        raise CannotRun(f"{path} does not exist: start `rev up`, set --data, or set REV_KAFKA") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRun(f"{path} does not say where Kafka and ClickHouse are; start `rev up` again") from error


def _moment(option: str, text: str | None) -> int | None:
    """Return UTC ms of an ISO 8601 time with an offset, or of a day (its first moment, UTC)."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise CannotRun(f"{option} must be a time such as 2026-01-31T12:00:00Z or a day, not {text!r}") from None
    if at.tzinfo is None:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise CannotRun(f"{option} must have an offset such as Z, unlike {text!r}")
        at = at.replace(tzinfo=UTC)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
