"""The topic rev.deliveries -> the table rev._deliveries: what people look at, no money.

At least once, in order; a record that is written twice is replaced, since its place in the
topic is its key. Goes on from the highest place in the table, or from the log's beginning.
A record that can never be a row goes to rev.dead and the copy goes on: unlike the ledger's own
rows (ledger/writer.py) later ones mean the same without it. After a restart the last records of
a partition may go there once more, under the same address.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from ledger import metrics
from ledger.blocks import LogRecord
from ledger.writer import IDLE, EntrySource, SendDeadLetter
from warehouse.client import ClickHouse
from warehouse.errors import InsertRefused, InsertTooLarge, WarehouseError
from warehouse.sqltext import read

log = structlog.get_logger("ledger.delivery_copier")

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


class DeliveryStore(Protocol):
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


def line(partition: int, record: LogRecord) -> bytes:
    """A record with its place. Raises Refused for what is no JSON object."""
    value = record.value.strip()
    if not (value.startswith(b"{") and value.endswith(b"}") and len(value) > 2):
        raise InsertRefused("no JSON object")
    return b'{"log_partition":%d,"log_offset":%d,' % (partition, record.offset) + value[1:]


def names(value: bytes) -> dict[str, object]:
    """The ids that a record tells, as far as it can be read, for the log."""
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return {}
    wanted = ("webhook_id", "delivery_id", "event_id")
    return {name: found[name] for name in wanted if name in found} if isinstance(found, dict) else {}


class DeliveryCopier:
    """Copies one partition until stopped; a streams.partition_workers.Worker. ``dead_letter`` raises a WarehouseError
    when the dead letter is not recorded; then the record is tried again."""

    def __init__(
        self,
        partition: int,
        store: DeliveryStore,
        source: Callable[[], EntrySource],
        dead_letter: SendDeadLetter,
        flush: float = FLUSH,
        pause: float = PAUSE,
    ) -> None:
        self.partition = partition
        self.not_ready_reason: str | None = None
        self._store = store
        self._source = source
        self._dead_letter = dead_letter
        self._passed = -1
        """Highest offset that was written or buried: a dead letter leaves no trace in the table."""
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
            except WarehouseError as error:
                metrics.DELIVERY_RETRIES.labels(type(error).__name__).inc()
                log.warning("deliveries_start_over", partition=self.partition, error=str(error)[:300])
                await self._pause(self._between)
            finally:
                await source.close()

    async def _follow(self, source: EntrySource) -> None:
        bounds = await source.open()
        after = max(await self._store.last(self.partition), self._passed)
        await source.seek(min(max(after + 1, bounds.begin), bounds.end))
        while not self._stopping.is_set():
            records = list(await source.read(IDLE))
            if not records:
                continue
            await self._pause(self._flush)
            while len(records) < ROWS and (more := await source.read(0)):
                records += more
            await self._put(records)

    async def _put(self, records: Sequence[LogRecord]) -> None:
        """In order. What is refused is halved until the record that is to blame is alone; what the server
        has no memory for, until it fits."""
        try:
            await self._store.put(b"\n".join(line(self.partition, record) for record in records))
        except (InsertRefused, InsertTooLarge) as error:
            if len(records) > 1:
                half = len(records) // 2
                await self._put(records[:half])
                await self._put(records[half:])
                return
            if isinstance(error, InsertTooLarge):
                raise
            await self._give_up(records[0], str(error))
        else:
            metrics.DELIVERIES.inc(len(records))
        self._passed = records[-1].offset

    async def _give_up(self, record: LogRecord, reason: str) -> None:
        await self._dead_letter(self.partition, record, reason)
        metrics.DELIVERIES_REFUSED.inc()
        place = {"partition": self.partition, "offset": record.offset}
        log.error("delivery_refused", **place, **names(record.value), error=reason[:300])

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but wakes up when stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
