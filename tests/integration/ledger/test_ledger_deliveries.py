"""ledger.delivery_copier on the real engine: attempts and gaps become rows, one for each record."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from ledger.blocks import LogRecord
from ledger.delivery_copier import DeliveryCopier, DeliveryTable
from schemas.deliveries import Attempt, Gap, encode
from tests.unit.ledger.tape import Tape
from warehouse.client import ClickHouse
from warehouse.migrate import migrate

pytestmark = pytest.mark.integration

AT = time.time_ns() // 1_000_000  # the table forgets what is older than 36 d
ATTEMPT = Attempt(
    7, "acme", "d-1", "evt_9", "meter.created", 2, 40, 1, 1, AT, "retry", 12, 500, "no", "oops", AT + 1000
)
GAP = Gap(7, "acme", 2, 50, 60, AT - 5, AT, AT, "the backlog was over its limit")
Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]


async def rows(db: ClickHouse, columns: str) -> list[list[str]]:
    return await db.execute(f"SELECT {columns} FROM rev._deliveries FINAL WHERE webhook_id = 7 ORDER BY log_offset")


async def test_every_record_is_one_row(db: ClickHouse, eventually: Eventually) -> None:
    """An attempt and a gap are there with all their columns, once each, although the log failed
    in the middle and the copy began again; what is no attempt is buried."""
    await migrate(db)
    tape = Tape([encode(ATTEMPT), b"no json", encode(GAP), encode(ATTEMPT)], fails_at=3)
    store = DeliveryTable(db)
    buried: list[tuple[int, bytes]] = []

    async def dead_letter(partition: int, record: LogRecord, reason: str) -> None:
        buried.append((record.offset, record.value))

    writer = DeliveryCopier(3, store, lambda: tape, dead_letter, flush=0, pause=0)
    task = asyncio.create_task(writer.run())

    async def all_there() -> bool:
        return await store.last(3) == 3

    await eventually(all_there)
    await store.put(b'{"log_partition":3,"log_offset":0,' + encode(ATTEMPT)[1:])
    writer.stop()
    await task
    assert buried == [(1, b"no json")]
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


@pytest.mark.parametrize(
    "poison",
    [
        b'{"webhook_id":"seven"}',
        b'{"webhook_id":7,"at":1e400}',
        b'{"webhook_id":7,"replay":[1]}',
        b'{"webhook_id":7,"error":"\xff',
        b'{"webhook_id":{"a":"}',
    ],
)
async def test_what_the_engine_refuses_is_buried(db: ClickHouse, eventually: Eventually, poison: bytes) -> None:
    """One record among good ones that the engine never takes: it alone is buried, with the engine's
    reason, and the others are rows."""
    await migrate(db)
    await db.execute("TRUNCATE TABLE rev._deliveries")
    good = [encode(ATTEMPT)] * 3
    tape = Tape([*good, poison, *good])
    buried: list[tuple[int, int, str]] = []

    async def dead_letter(partition: int, record: LogRecord, reason: str) -> None:
        buried.append((partition, record.offset, reason))

    store = DeliveryTable(db)
    writer = DeliveryCopier(4, store, lambda: tape, dead_letter, flush=0, pause=0)
    task = asyncio.create_task(writer.run())

    async def all_there() -> bool:
        return await store.last(4) == 6

    await eventually(all_there)
    writer.stop()
    await task
    ((partition, offset, reason),) = buried
    assert (partition, offset) == (4, 3) and reason
    assert [row[0] for row in await rows(db, "log_offset")] == ["0", "1", "2", "4", "5", "6"]
