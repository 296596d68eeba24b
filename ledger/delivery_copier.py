"""Copying of the topic rev.deliveries to the table rev._deliveries, which is for people to read and holds no money.

Records are copied at least once, in order. A record that is written twice is replaced, since its place in the topic is
its key. The copy continues from the highest place in the table, or from the log's beginning. A record that can never be
a row goes to rev.dead and the copy continues: unlike the ledger's own rows (ledger/writer.py), later ones mean the same
without it. After a restart the last records of a partition may go there once more, under the same address.
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
"""Seconds between inserts: an insert costs the engine tens of ms however small it is."""
ROWS = 10_000
"""Maximum records in one insert."""
PAUSE = 1.0
"""Seconds before a retry after a failure."""
_READING: dict[str, str | int] = {
    # the sender's version of an attempt may be newer than this reader's
    "input_format_skip_unknown_fields": 1,
    "input_format_null_as_default": 0,
    "input_format_parallel_parsing": 0,
    # an INSERT is one part, so that all of it is there or nothing
    "min_insert_block_size_bytes": 1 << 30,
}


class DeliveryStore(Protocol):
    """The store for attempts: DeliveryTable, or a list in tests."""

    async def last(self, partition: int) -> int:
        """Return the highest place of a partition, or -1 if none. Raises Unavailable."""
        ...

    async def put(self, lines: bytes) -> None:
        """Store lines of one JSON object each. Raises Unavailable, or InsertRefused for lines that will never be
        accepted."""
        ...


class DeliveryTable:
    """The table rev._deliveries in ClickHouse."""

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
    """Return a record with its place added. Raises InsertRefused if it is not a JSON object."""
    value = record.value.strip()
    if not (value.startswith(b"{") and value.endswith(b"}") and len(value) > 2):
        raise InsertRefused("not a JSON object")
    return b'{"log_partition":%d,"log_offset":%d,' % (partition, record.offset) + value[1:]


def names(value: bytes) -> dict[str, object]:
    """Return the ids in a record, as far as it can be read, for the log."""
    try:
        found = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return {}
    wanted = ("webhook_id", "delivery_id", "event_id")
    return {name: found[name] for name in wanted if name in found} if isinstance(found, dict) else {}


class DeliveryCopier:
    """A streams.partition_workers.Worker that copies one partition until stopped. ``dead_letter`` raises a
    WarehouseError if the dead letter is not recorded; the record is then retried."""

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
        """Highest offset that was written or dead-lettered: a dead letter leaves no trace in the table."""
        self._flush = flush
        self._between = pause
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Copy until stopped. After any failure, start again from the table's end; only the list of deliveries is
        delayed."""
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
        """Store records in order. A refused batch is halved until the bad record is alone; one that the server has no
        memory for, until it fits."""
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
        """Sleep, but wake up when stopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
