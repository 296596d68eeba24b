"""ledger.deliveries on the real engine: attempts and gaps become rows, one for each record."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ledger.blocks import Record
from ledger.clickhouse import ClickHouse
from ledger.deliveries import DeliveryTable, DeliveryWriter
from ledger.errors import Silent
from ledger.migrate import migrate
from ledger.writer import Bounds
from schemas.deliveries import Attempt, Gap, encode

pytestmark = pytest.mark.integration

AT = time.time_ns() // 1_000_000  # the table forgets what is older than 36 d
ATTEMPT = Attempt(
    7, "acme", "d-1", "evt_9", "meter.created", 2, 40, 1, 1, AT, "retry", 12, 500, "no", "oops", AT + 1000
)
GAP = Gap(7, "acme", 2, 50, 60, AT - 5, AT, AT, "the backlog was over its limit")
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


class Tape:
    """A partition of rev.deliveries in a list; it fails once where it is told to."""

    def __init__(self, values: Sequence[bytes], fails_at: int = -1) -> None:
        self.values = values
        self.fails_at = fails_at
        self.next = 0
        self.more = asyncio.Event()

    async def open(self) -> Bounds:
        return Bounds(0, len(self.values))

    async def seek(self, offset: int) -> None:
        self.next = offset

    async def read(self, timeout: float) -> Sequence[Record]:
        if self.next == self.fails_at:
            self.fails_at = -1
            raise Silent("the broker is away")
        if self.next == len(self.values):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.more.wait(), timeout)
            return []
        self.next += 1
        return [Record(self.next - 1, AT, self.values[self.next - 1])]

    async def position(self) -> int:
        return self.next

    def end(self) -> int:
        return len(self.values)

    async def close(self) -> None:
        pass


async def rows(db: ClickHouse, columns: str) -> list[list[str]]:
    return await db.execute(f"SELECT {columns} FROM rev._deliveries FINAL WHERE webhook_id = 7 ORDER BY log_offset")


async def test_every_record_is_one_row(db: ClickHouse, eventually: Eventually) -> None:
    """An attempt and a gap are there with all their columns, once each, although the log failed
    in the middle and the copy began again; what is no JSON is left out and counted."""
    await migrate(db)
    tape = Tape([encode(ATTEMPT), b"no json", encode(GAP), encode(ATTEMPT)], fails_at=3)
    shelf = DeliveryTable(db)
    writer = DeliveryWriter(3, shelf, lambda: tape, flush=0, pause=0)
    task = asyncio.create_task(writer.run())

    async def all_there() -> bool:
        return await shelf.last(3) == 3

    await eventually(all_there)
    await shelf.put(b'{"log_partition":3,"log_offset":0,' + encode(ATTEMPT)[1:])
    writer.stop()
    await task
    columns = "log_offset, delivery_id, outcome, status, error, answer, at, latency, attempt, gap"
    attempt = ["d-1", "retry", "500", "no", "oops", str(AT), "12", "1", "false"]
    gap = ["", "", "ᴺᵁᴸᴸ", "", "", str(AT), "0", "0", "true"]
    assert await rows(db, columns) == [["0", *attempt], ["2", *gap], ["3", *attempt]]
    places = await rows(db, "partition, offset, index, first, last, since, until, reason")
    gap = ["2", "0", "0", "50", "60", str(AT - 5), str(AT), "the backlog was over its limit"]
    attempt = ["2", "40", "1", "0", "0", "0", "0", ""]
    assert places == [attempt, gap, attempt]
    shown = await db.execute("SELECT result, http_status, why FROM rev.webhook_deliveries ORDER BY why")
    assert shown == [["retry", "500", "no"]] * 2 + [["gap", "ᴺᵁᴸᴸ", "the backlog was over its limit"]]
