"""The command line of `rev import`: options in, an exit code out."""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import aiohttp
from rich.console import Console

from ingest.importer.cells import BadCell, zone_of
from ingest.importer.client import Client, ImportStopped
from ingest.importer.columns import FIELDS, TIME, Columns, MappingError, pairs
from ingest.importer.events import Batch, Events, batches, is_named
from ingest.importer.report import progress, summary
from ingest.importer.sending import Sender
from ingest.importer.sources import FileError, Source, digest, open_source
from ingest.importer.tally import Tally
from schemas.settings import http_url

FINE, SOME_BAD, FAILED = 0, 1, 2
AGAIN = "Repeat the command: no row is charged twice."
SHOWN_BAD = 100
"""How many bad rows are told one by one."""


class UsageError(Exception):
    """The command as typed cannot be done."""


class _Import(NamedTuple):
    """Everything that is known before the first request."""

    path: Path
    source: Source
    columns: Columns
    file_hash: str
    lines: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `rev import`."""
    env = os.environ
    parser.description = (
        "Import a usage file (.csv, .tsv, .jsonl) through the HTTP API; repeat it as often as you like."
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--url", default=env.get("REV_URL"), help="of the gateway (REV_URL)")
    parser.add_argument("--key", default=env.get("REV_API_KEY"), help="an API key (REV_API_KEY)")
    parser.add_argument("--customer", help="with a platform key: the customer that is charged")
    parser.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN,…", help=f"{', '.join(FIELDS)}")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE,…", help="the same in every row")
    parser.add_argument("--tz", default="UTC", help="zone of times without an offset (UTC)")
    parser.add_argument("--metadata", action="store_true", help="keep unknown columns as metadata")
    parser.add_argument("--delimiter", default=",", help="between the cells of a .csv")
    parser.add_argument("--in-flight", type=int, default=6, metavar="N", help="batches sent at once (6)")
    parser.add_argument("--patience", type=float, default=120.0, metavar="S", help="seconds without any answer (120)")


def run(args: argparse.Namespace) -> int:
    """0: every row is in the ledger; 1: all but the bad rows; 2: it could not be done. Raises SettingError for
    a --url that is none."""
    console, errors = Console(), Console(stderr=True)
    try:
        with ExitStack() as opened:
            return asyncio.run(_run(args, opened, console, errors))
    except KeyboardInterrupt:  # Ctrl-C; what it came to so far is told already
        errors.print(f"rev import: stopped. {AGAIN}", style="red")
        return FAILED
    except (UsageError, MappingError, FileError, ImportStopped, OSError, BadCell) as error:
        errors.print(
            f"rev import: {_told(error, args.file)}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        return FAILED


def _told(error: Exception, file: Path) -> str:
    match error:
        case BadCell():
            return f"{error.column}: {error}"
        case FileError():
            return f"{file}: {error}"
        case OSError(strerror=str(why), filename=str(name)):
            return f"{name} cannot be read: {why}"
    return str(error)


def _prepare(args: argparse.Namespace, opened: ExitStack) -> _Import:
    if not args.url or not args.key:
        raise UsageError("--url and --key are needed (or REV_URL and REV_API_KEY)")
    http_url("--url", args.url)
    if args.in_flight < 1 or len(args.delimiter) != 1:
        raise UsageError("--in-flight must be at least 1 and --delimiter one character")
    columns = Columns(pairs("--map", args.map), pairs("--set", args.set))
    file_hash, lines = digest(args.file)
    source = open_source(args.file, args.delimiter)
    opened.callback(source.close)
    if source.header is not None:
        missing = columns.missing(source.header)
        if missing:
            raise UsageError(f"--map: no column {missing[0]!r}; the columns are {', '.join(source.header)}")
        if not is_named("action", columns, source.header):
            raise UsageError("no column says the action: give --set action=… or --map action=COLUMN")
    return _Import(args.file, source, columns, file_hash, lines)


async def _run(args: argparse.Namespace, opened: ExitStack, console: Console, errors: Console) -> int:
    try:
        zone = zone_of(args.tz)
    except ValueError as error:
        raise UsageError(f"--tz: {error}") from None
    job = _prepare(args, opened)
    tally = Tally(_teller(errors))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        client = Client(
            session, args.url, args.key, customer=args.customer, patience=args.patience, rng=random.Random()
        )
        events = Events(
            job.source.cells, job.source.header, job.columns, zone, args.metadata, job.file_hash, client.now
        )
        began = time.monotonic()
        try:
            await client.check()
            with progress(errors, tally) as bar:
                task = bar.add_task(job.path.name, total=job.lines)
                watched = _watched(batches(job.source.rows, events), lambda done: bar.update(task, advance=done))
                await Sender(client, tally, args.in_flight).run(watched)
            if digest(job.path)[0] != job.file_hash:
                raise ImportStopped("the file changed while it was read: rows may have been charged with other values")
        except (ImportStopped, asyncio.CancelledError):
            if tally.rows:
                summary(console, tally, time.monotonic() - began, [f"Not finished. {AGAIN}"])
            raise
        summary(console, tally, time.monotonic() - began, _notes(args, job, events, client))
    return SOME_BAD if tally.bad else FINE


def _watched(cut: Iterator[Batch], advance: Callable[[float], None]) -> Iterator[Batch]:
    """The batches; each moves the bar when the next one is asked for."""
    for batch in cut:
        yield batch
        advance(len(batch.events) + len(batch.bad))


def _teller(errors: Console) -> Callable[[str], None]:
    told = 0

    def tell(line: str) -> None:
        nonlocal told
        told += 1
        if told <= SHOWN_BAD:
            errors.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
        elif told == SHOWN_BAD + 1:
            errors.print(f"… more bad rows than {SHOWN_BAD}: the rest are only counted", style="yellow")

    return tell


def _notes(args: argparse.Namespace, job: _Import, events: Events, client: Client) -> list[str]:
    notes = []
    if not is_named("agent_id", job.columns, job.source.header):
        notes.append('agent_id is "import" where no column gave one (--map agent_id=COLUMN or --set agent_id=NAME)')
    if is_named(TIME, job.columns, job.source.header) and args.tz == "UTC":
        notes.append("Times without an offset were read as UTC (--tz)")
    if events.ignored:
        notes.append(f"Ignored columns (--metadata keeps them): {', '.join(events.ignored)}")
    if client.retries:
        notes.append(f"{client.retries} requests were repeated")
    return notes
