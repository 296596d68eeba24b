"""One partition's writer: follows the log from where the table ends and writes block by block.

Guarantee: rows reach the table in offset order without a gap, and never twice, however often this is killed, stopped or
run twice (ledger/store.py is the fence, not the group). After any failure it starts over from the table's maximum. Two
things end it: a record that ClickHouse will never accept (dead letter, alarm; later records must not overtake it, since
a ledger with a silent gap is worse than one that has halted) and a log that is not the ledger's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

from ledger import metrics
from ledger.blocks import Block, Builder, LogRecord
from ledger.errors import SourceStalled, WrongLog
from ledger.insert_schedule import InsertSchedule
from ledger.store import LedgerStore
from warehouse.errors import InsertRefused, InsertTooLarge, Unavailable

log = structlog.get_logger("ledger.writer")

QUIET = 30.0
"""Seconds without a record before the position read is noted, and between two notes."""
IDLE = 0.2
"""Seconds that a read of an idle log waits; bounds how long stopping takes."""
BACKOFF = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts; the last one repeats."""
WRONG_LIMIT = 5
"""Number of checks before WrongLog is raised: a broker that has just restarted may briefly report an old end."""


class OffsetBounds(NamedTuple):
    """The log's bounds: offsets [begin, end), where end is the first offset still to come."""

    begin: int
    end: int


class EntrySource(Protocol):
    """One partition of rev.entries, committed records only."""

    async def open(self) -> OffsetBounds: ...

    async def seek(self, offset: int) -> None: ...

    async def read(self, timeout: float) -> Sequence[LogRecord]:
        """Return the next records in order, or none after ``timeout`` seconds. Raises SourceStalled."""
        ...

    async def position(self) -> int:
        """Return the next offset to read, after any markers and aborted records. Raises SourceStalled."""
        ...

    def end(self) -> int:
        """Return the end of the log as of the last answer, for the lag; -1 if unknown."""
        ...

    async def close(self) -> None: ...


class Halted(Exception):
    """The partition cannot continue without a person. The message says why."""


SendDeadLetter = Callable[[int, LogRecord, str], Awaitable[None]]
"""Writes a dead letter: partition, record, reason."""


class LedgerWorker:
    """The writer of one partition. ``check_log`` raises WrongLog if Kafka's log is not the ledger's (called again each
    time the log was unreachable); ``now`` is wall time in ms, for the delay metric only; ``schedule`` is shared by the
    writers of a process and uses ``clock``."""

    def __init__(
        self,
        partition: int,
        store: LedgerStore,
        source: Callable[[], EntrySource],
        dead_letter: SendDeadLetter,
        check_log: Callable[[], Awaitable[object]],
        now: Callable[[], int],
        schedule: InsertSchedule,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
        quiet: float = QUIET,
    ) -> None:
        self.partition = partition
        self.not_ready_reason: str | None = "starting"
        self._store = store
        self._make_source = source
        self._dead_letter = dead_letter
        self._check_log = check_log
        self._now = now
        self._sleep = sleep
        self._clock = clock or asyncio.get_running_loop().time
        self._schedule = schedule
        self._quiet = quiet
        self._seen = 0
        self._stopping = asyncio.Event()
        self._failures = self._wrong = 0
        self._log_was_away = False
        self._log = log.bind(partition=partition)

    def stop(self) -> None:
        """End :meth:`run` after the current block."""
        self._stopping.set()

    async def run(self) -> None:
        """Write until stopped. Raises Halted or WrongLog, after which nothing more is written."""
        while not self._stopping.is_set():
            source = self._make_source()
            try:
                after = await self._begin(source)
                await self._follow(source, after)
            except (Unavailable, SourceStalled) as error:
                self._log_was_away |= isinstance(error, SourceStalled)
                self._failures += 1
                self._note(error)
                await self._pause(BACKOFF[min(self._failures, len(BACKOFF)) - 1])
            except WrongLog as error:
                self._wrong += 1
                if self._wrong == WRONG_LIMIT:
                    raise
                self._note(error)
                await self._pause(1.0)
            finally:
                await source.close()
        await self._let_go()

    async def _begin(self, source: EntrySource) -> int:
        """Take the partition over and position the source where the table ends."""
        bounds = await source.open()
        if self._log_was_away:
            await self._check_log()
            self._log_was_away = False
        after = await self._store.take_over(self.partition)
        here = f"partition {self.partition}: the ledger"
        if after >= bounds.end:
            raise WrongLog(f"{here} holds offset {after}, the log ends at {bounds.end}")
        # retention may have deleted the markers after the last record too, but no record
        if after + 1 < bounds.begin and await self._store.seen(self.partition, after) < bounds.begin:
            raise WrongLog(f"{here} needs offset {after + 1}, the log begins at {bounds.begin}")
        await source.seek(max(after + 1, bounds.begin))
        self.not_ready_reason = None
        self._log.info("ledger_follows", after=after, end=bounds.end)
        return after

    async def _follow(self, source: EntrySource, after: int) -> None:
        builder, deadline = Builder(after), 0.0
        quiet_until = self._clock() + self._quiet
        while not self._stopping.is_set():
            wait = max(deadline - self._clock(), 0.0) if len(builder) else IDLE
            records = await source.read(wait)
            self._wrong = 0
            for record in records:
                if record.offset <= builder.last:
                    continue
                if not builder.add(record):
                    await self._write(builder.take())
                    builder.add(record)
                if len(builder) == 1:
                    deadline = self._schedule.due()
            if builder.full or (len(builder) and self._clock() >= deadline):
                await self._write(builder.take())
            if records:
                quiet_until = self._clock() + self._quiet
            elif not len(builder) and self._clock() >= quiet_until:
                await self._note_seen(source, builder.last)
                quiet_until = self._clock() + self._quiet
            metrics.LAG.labels(self.partition).set(max(source.end() - builder.last - 1, 0))
        if not len(builder):
            await self._note_seen(source, builder.last)

    async def _note_seen(self, source: EntrySource, after: int) -> None:
        """Note how far a quiet partition was read past its last record. If the log's retention deletes everything, this
        proves that the ledger lacks none of it (a commit marker takes an offset, an aborted transaction several)."""
        seen = await source.position()
        if seen > max(after + 1, self._seen):
            await self._store.note_seen(self.partition, after, seen)
            self._seen = seen

    async def _write(self, block: Block) -> None:
        """Write a block. A refused block is halved until the bad record is alone; one that the server has no memory
        for, until it fits."""
        begin = self._clock()
        self._schedule.begins()
        try:
            rows = await self._store.write(self.partition, block)
        except (InsertRefused, InsertTooLarge) as error:
            if len(block.records) == 1:
                if isinstance(error, InsertTooLarge):
                    raise
                await self._halt(block.records[0], str(error))
            self._log.warning("ledger_halves", after=block.after, last=block.last, error=str(error))
            for half in block.halves():
                await self._write(half)
            return
        # reset only here: two owners that fence each other must wait longer and longer, or neither gets to write
        self._failures = 0
        self._schedule.took(self._clock() - begin)
        now = self._now()
        metrics.ROWS.inc(rows)
        metrics.BLOCKS.inc()
        metrics.DELAY.observe(max(now - block.records[0].timestamp, 0) / 1000)
        metrics.LAST_INSERT.labels(self.partition).set(now / 1000)

    async def _halt(self, record: LogRecord, reason: str) -> None:
        metrics.HALTED.labels(self.partition).set(1)
        self._log.error("ledger_halted", offset=record.offset, error=reason)
        await self._dead_letter(self.partition, record, reason)
        raise Halted(f"partition {self.partition} stands still at offset {record.offset}: {reason[:300]}")

    def _note(self, error: Exception) -> None:
        metrics.RETRIES.labels(type(error).__name__).inc()
        self.not_ready_reason = f"partition {self.partition}: {type(error).__name__}: {str(error)[:300]}"
        self._log.warning("ledger_starts_over", error=self.not_ready_reason, failures=self._failures)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake up when stopped."""
        nap = asyncio.ensure_future(self._sleep(seconds))
        stop = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({nap, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in (nap, stop):
            task.cancel()
        await asyncio.gather(nap, stop, return_exceptions=True)

    async def _let_go(self) -> None:
        try:
            await self._store.let_go(self.partition)
        except Unavailable as error:
            # the next owner drops the stage
            self._log.info("ledger_left_its_stage", error=str(error))
