"""The topic rev.deliveries -> the table rev._deliveries: what people look at, no money.

At least once, in order; a record that is written twice is replaced, since its place in the
topic is its key. Goes on from the highest place in the table, or from the log's beginning.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ledger import metrics
from ledger.blocks import Record
from ledger.clickhouse import ClickHouse
from ledger.errors import LedgerError
from ledger.sqltext import read
from ledger.writer import IDLE, Source

log = structlog.get_logger("ledger.deliveries")

FLUSH = 0.5
"""Seconds between two inserts: an insert costs the engine tens of ms however small it is."""
ROWS = 10_000
"""Records of one insert, at most."""
PAUSE = 1.0
"""Seconds before it is tried again after a failure."""
_READING: dict[str, str | int] = {
    # the sender's version of an attempt may be newer than this reader's
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 0,
    "input_format_parallel_parsing": 0,
}


class Shelf(Protocol):
    """Where attempts are put: DeliveryTable, or a list in tests."""

    async def last(self, partition: int) -> int:
        """Highest place of a partition, -1: none. Raises Unavailable."""
        ...

    async def put(self, lines: bytes) -> None:
        """One JSON object a line. Raises Unavailable, or Refused for lines that are never taken."""
        ...


class DeliveryTable:
    """rev._deliveries in ClickHouse."""

    def __init__(self, db: ClickHouse) -> None:
        self._db = db
        self._sql = read("deliveries")

    async def last(self, partition: int) -> int:
        rows = await self._db.execute(
            "SELECT if(count() = 0, -1, toInt64(max(log_offset))) FROM rev._deliveries "
            f"WHERE log_partition = {int(partition)}"
        )
        return int(rows[0][0])

    async def put(self, lines: bytes) -> None:
        await self._db.insert(self._sql, lines, _READING)


def line(partition: int, record: Record) -> bytes:
    """A record with its place. Raises ValueError for what is no JSON object."""
    value = record.value.strip()
    if not (value.startswith(b"{") and value.endswith(b"}") and len(value) > 2):
        raise ValueError(f"rev.deliveries {partition}/{record.offset} is no JSON object")
    return b'{"log_partition":%d,"log_offset":%d,' % (partition, record.offset) + value[1:]


class DeliveryWriter:
    """Copies one partition until stopped (streams.team.Worker)."""

    def __init__(
        self,
        partition: int,
        shelf: Shelf,
        source: Callable[[], Source],
        flush: float = FLUSH,
        pause: float = PAUSE,
    ) -> None:
        self.partition = partition
        self.trouble: str | None = None
        self._shelf = shelf
        self._source = source
        self._flush = flush
        self._between = pause
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Whatever fails begins again from the table's end; only the list of deliveries waits."""
        while not self._stopping.is_set():
            source = self._source()
            try:
                await self._follow(source)
            except LedgerError as error:
                metrics.DELIVERY_RETRIES.labels(type(error).__name__).inc()
                log.warning("deliveries_start_over", partition=self.partition, error=str(error)[:300])
                await self._pause(self._between)
            finally:
                await source.close()

    async def _follow(self, source: Source) -> None:
        bounds = await source.open()
        after = await self._shelf.last(self.partition)
        await source.seek(min(max(after + 1, bounds.begin), bounds.end))
        while not self._stopping.is_set():
            records = list(await source.read(IDLE))
            if not records:
                continue
            await self._pause(self._flush)
            while len(records) < ROWS and (more := await source.read(0)):
                records += more
            await self._put(records)

    async def _put(self, records: Sequence[Record]) -> None:
        lines = []
        for record in records:
            try:
                lines.append(line(self.partition, record))
            except ValueError as error:
                metrics.DELIVERY_UNREADABLE.inc()
                log.error("delivery_unreadable", partition=self.partition, offset=record.offset, error=str(error))
        if lines:
            await self._shelf.put(b"\n".join(lines))
            metrics.DELIVERIES.inc(len(lines))

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but wakes up when stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
