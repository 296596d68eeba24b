"""`rev import`: examines the file and the ledger before the first charge, asks for confirmation, then sends."""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import aiohttp
import uvloop
from rich.console import Console

from tools.importer import options as typed
from tools.importer import undo_command
from tools.importer.batch_sender import BatchSender, shared, window
from tools.importer.batches import Batch, BatchOwner
from tools.importer.cells import BadCell
from tools.importer.client import ImportClient, ImportStopped, Unreachable
from tools.importer.columns import CUSTOMER, MappingError
from tools.importer.event_maker import DEFAULT_AGENT
from tools.importer.file_reading import FileReading, FileSubject, examined, reading
from tools.importer.file_warnings import doubts, stops
from tools.importer.gateway_responses import Import
from tools.importer.kept_batches import KeptBatches
from tools.importer.options import Access, Options, UsageError
from tools.importer.preview import PriceList, preview
from tools.importer.pricing import Prices
from tools.importer.recorded_rows import Comparer, OtherImport, RecordedRows
from tools.importer.report import console as printing
from tools.importer.report import progress, summary
from tools.importer.row_keys import import_id
from tools.importer.sources import Digest, FileError, digest
from tools.importer.survey import Survey
from tools.importer.tally import Tally

FINE, SOME_BAD, FAILED = 0, 1, 2
AGAIN = "Repeat the command: no row is charged twice."
SHOWN_TRIES, SHOWN_PAUSE = 50, 0.2
"""Number of checks that the ledger shows the import, and the seconds between them."""
SHOWN_BAD = 100
"""Maximum bad rows that are reported one by one."""
Ask = Callable[[str], bool]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def on_terminal() -> Ask | None:
    """Return a function that asks the person at the terminal; None if there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None

    def ask(question: str) -> bool:
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False

    return ask


def run(args: argparse.Namespace, ask: Ask | None = None) -> int:
    """Run the import. Return 0: every row is in the ledger; 1: all but the bad rows; 2: it could not be
    done. ``ask``: None asks nobody. Raises SettingError for an invalid --url."""
    console, errors = printing(), printing(stderr=True)
    try:
        access = typed.access(args)
        options = None if args.undo else typed.options(args)
        hashed = None if options is None else examined(options)
        with ExitStack() as opened:
            runner = opened.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
            client = runner.run(_connected(access))
            opened.callback(lambda: runner.run(client.close()))
            if options is None or hashed is None:
                return undo_command.run(args, access, client, runner.run, ask, console)
            return _Import(options, hashed, access, client, console, errors).run(runner.run, ask)
    except KeyboardInterrupt:  # Ctrl-C; the results so far were reported already
        errors.print(f"rev import: stopped. {AGAIN}", style="red")
        return FAILED
    except (UsageError, MappingError, FileError, ImportStopped, OSError, BadCell) as error:
        told = recorded_as(error, args.file)
        errors.print(f"rev import: {told}", style="red", markup=False, highlight=False, soft_wrap=True)
        return FAILED


def recorded_as(error: Exception, file: str) -> str:
    """Return an error as a sentence."""
    match error:
        case BadCell():
            return f"{error.column}: {error}"
        case FileError():
            return f"{file}: {error}"
        case OSError(strerror=str(why), filename=str(name)):
            return f"{name} cannot be read: {why}"
    return str(error)


async def _connected(access: Access) -> ImportClient:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64))
    return ImportClient(session, access.url, access.key, patience=access.patience, rng=random.Random())


class Examined(NamedTuple):
    """Contents of a file and what of it is in the ledger, before anything is sent."""

    subject: FileSubject
    read: FileReading
    survey: Survey
    prices: PriceList
    known: Mapping[str | None, Import]
    there: RecordedRows
    doubts: list[str]

    @property
    def customers(self) -> list[str | None]:
        """Customers that the rows name and that can be charged."""
        return [customer for customer, prices in self.prices.items() if prices is not None]


class _Import:
    """One import of one file."""

    def __init__(
        self, options: Options, hashed: Digest, access: Access, client: ImportClient, console: Console, errors: Console
    ) -> None:
        self._options, self._hashed, self._access, self._client = options, hashed, access, client
        self._id = import_id(hashed.sha256)
        self._kept = KeptBatches()
        self._console, self._errors = console, errors
        self._tell = _ProgressReporter(errors)
        self._tally = Tally(self._tell)
        self._began = time.monotonic()

    def run(self, wait_for: Run, ask: Ask | None) -> int:
        """Run the import and return the exit code."""
        options = self._options
        seen: Examined = wait_for(self._examine())
        asking = ask is not None and not options.yes and seen.survey.events > seen.there.rows
        if options.dry_run or asking:
            preview(
                console=self._console,
                import_id=self._id,
                columns=options.columns,
                events=seen.read.events,
                survey=seen.survey,
                prices=seen.prices,
                there=seen.there,
                doubts=seen.doubts,
            )
        if options.dry_run:
            self._say("Nothing was charged (--dry-run).")
            return SOME_BAD if self._tally.bad else FINE
        if asking and ask is not None and not ask(f"Charge {seen.survey.events - seen.there.rows:,} events?"):
            self._say("Nothing was charged.")
            return FAILED
        wait_for(self._send(seen))
        return SOME_BAD if self._tally.bad else FINE

    async def _examine(self) -> Examined:
        """Read the whole file, query the server, compare. Raises whatever forbids the import."""
        options, client = self._options, self._client
        named = options.columns.fixed.get(CUSTOMER, self._access.customer)
        if self._access.customer not in (None, named):
            raise UsageError("--customer and --set customer_id must be equal")
        key, pricing = await client.whose(None)
        if named is not None:
            _, pricing = await client.whose(named)
        subject = FileSubject(options, self._hashed, BatchOwner(key, named), client.now())
        survey = Survey(*window(subject.now))
        with reading(subject) as read:
            for bad in survey.read(self._kept.keep(read.batches)):
                self._tally.note_bad(bad.row, bad.line, BadCell(bad.column, bad.reason))
        reason = stops(options.columns, read.events, options.no_tokens)
        if reason is not None:
            raise UsageError(reason)
        if key is None and named is None and CUSTOMER not in read.events.used:
            raise UsageError("a platform key needs --customer, or a column customer_id (--map customer_id=COLUMN)")
        self._tally.blank, self._tally.repeated = survey.blank, survey.repeated
        self._tell.release()
        customers = list(dict.fromkeys(customer for customer, *_ in survey.sums))
        prices: dict[str | None, Prices | None] = {}
        for customer in customers:
            if customer not in (None, named):
                assert customer is not None
                pricing = await client.prices(customer)
            prices[customer] = None if pricing is None else Prices(pricing)
        real = [customer for customer in customers if prices[customer] is not None]
        known = await self._known(key, real)
        there = RecordedRows()
        if await self._may_be_there(read, survey, known, real):
            refused = [customer for customer in customers if prices[customer] is None]
            charged = list(known) or (real if len(real) == 1 else [])
            await self._compare(subject, Comparer(client, there, self._id, known, charged, refused))
        told = doubts(options.columns, read.events, survey, read.times, prices)
        return Examined(subject=subject, read=read, survey=survey, prices=prices, known=known, there=there, doubts=told)

    async def _known(self, key: str | None, customers: list[str | None]) -> dict[str | None, Import]:
        """Return what the ledger has of this import, by customer. Raises OtherImport if it was charged to a
        customer that the file does not name now, unless --other-customer allows it."""
        found, rest = await self._in_ledger(key, customers)
        others = [one.customer_id for one in rest if one.events > one.voided_events]
        if others and not self._options.other_customer:
            raise OtherImport(
                f"this file was charged to {others[0]!r}{' and others' if others[1:] else ''} before, whom it does not"
                " name now: undo that import first (--undo --customer), or use --other-customer to charge this file"
                " again"
            )
        return found

    async def _in_ledger(
        self, key: str | None, customers: list[str | None]
    ) -> tuple[dict[str | None, Import], list[Import]]:
        """Return what the ledger has of this import: by customer, as requests name them, and of all others.
        Makes one request, plus one for each customer of a platform that is not in the response."""
        if key is not None:
            one = await self._client.imported(None, self._id)
            return ({} if one is None else {None: one}), []
        everyone = {one.customer_id: one async for one in self._client.imports(None, self._id)}
        found: dict[str | None, Import] = {}
        for customer in customers:
            one = everyone.pop(customer or "", None) or await self._client.imported(customer, self._id)
            if one is not None:
                found[customer] = one
        return found, list(everyone.values())

    async def _may_be_there(
        self, read: FileReading, survey: Survey, known: Collection[str | None], customers: list[str | None]
    ) -> bool:
        """True if rows of the file may be in the ledger: from an earlier import of it, or from any sender
        of the same ids. An import by an earlier release has no id, so some of its rows are looked up."""
        if known or "idempotency_key" in read.events.used:
            return True
        return len(customers) == 1 and bool(await self._client.lookup(customers[0], survey.keys))

    async def _compare(self, subject: FileSubject, comparer: Comparer) -> None:
        with self._batches(subject) as batches:
            await shared(batches, self._options.in_flight, comparer.compare)
        comparer.check_whole()

    @contextmanager
    def _batches(self, subject: FileSubject) -> Iterator[Iterator[Batch]]:
        """Return the batches of the first pass once more."""
        if self._kept.complete:
            yield iter(self._kept)
            return
        with reading(subject) as read:
            yield read.batches

    async def _send(self, seen: Examined) -> None:
        options, tally = self._options, self._tally
        sender = BatchSender(self._client, self._id, tally, seen.there)
        try:
            with self._batches(seen.subject) as batches, progress(self._errors, tally) as bar:
                task = bar.add_task(options.path.name, total=seen.survey.rows)

                async def deliver(batch: Batch) -> None:
                    await sender.deliver(batch)
                    bar.update(task, advance=batch.rows)

                await shared(batches, options.in_flight, deliver)
            if digest(options.path) != seen.subject.digest:
                raise ImportStopped("the file changed while it was read: rows may have been charged with other values")
        except (ImportStopped, FileError, asyncio.CancelledError):
            if tally.rows:
                summary(self._console, tally, time.monotonic() - self._began, [f"Not finished. {AGAIN}"])
            raise
        took = time.monotonic() - self._began
        notes = self._notes(seen)
        if tally.imported and not await self._shown(seen):
            notes.append(
                "The ledger does not show the whole import yet: wait until `rev imports` does before you import again."
            )
        summary(self._console, tally, took, notes)

    async def _shown(self, seen: Examined) -> bool:
        """Wait until the ledger shows what this run charged, which a repeat with other options is compared
        with. Return whether it does."""
        wanted = sum(one.events for one in seen.known.values()) + self._tally.imported
        try:
            for _ in range(SHOWN_TRIES):
                found, _ = await self._in_ledger(seen.subject.whose.key, seen.customers)
                if sum(one.events for one in found.values()) >= wanted:
                    return True
                await self._client.wait(0, SHOWN_PAUSE)
        except Unreachable:
            pass  # all rows are charged; the summary reports what is not known
        return False

    def _notes(self, seen: Examined) -> list[str]:
        options, events = self._options, seen.read.events
        notes = [f"import {self._id} (rev import … --undo takes it back)"]
        if "agent_id" not in {*events.used, *options.columns.fixed}:
            notes.append(
                f"agent_id is {DEFAULT_AGENT} where no column gives one (--map agent_id=COLUMN or --set agent_id=NAME)"
            )
        if seen.read.times.local:
            notes.append(f"Times without an offset are in {options.zone} (--tz)")
        if events.unused:
            notes.append(f"Ignored columns (--metadata keeps them): {', '.join(filter(None, events.unused))}")
        if self._client.retries:
            notes.append(f"{self._client.retries} requests were repeated")
        return notes + seen.doubts

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _ProgressReporter:
    """Reporter of bad rows on stderr, up to a limit; it prints nothing before `release`."""

    def __init__(self, errors: Console) -> None:
        self._errors = errors
        self._held: list[str] | None = []
        self._told = 0

    def __call__(self, line: str) -> None:
        self._told += 1
        if self._told > SHOWN_BAD + 1:
            return
        if self._told == SHOWN_BAD + 1:
            line = f"… more than {SHOWN_BAD} bad rows: the rest are only counted"
        if self._held is None:
            self._print(line)
        else:
            self._held.append(line)

    def release(self) -> None:
        """Print the held lines: the file can be imported, so errors in single rows are worth reporting."""
        held, self._held = self._held or [], None
        for line in held:
            self._print(line)

    def _print(self, line: str) -> None:
        self._errors.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
