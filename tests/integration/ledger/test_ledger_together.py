"""Blocks of several partitions in one statement, and the fence that this rests on: the stage."""

import asyncio
import itertools

import pytest

from ledger.blocks import Block, LogRecord
from ledger.store import LedgerTable
from tests.integration.ledger.entries_log import AT, value
from warehouse.client import ClickHouse
from warehouse.errors import InsertRefused, LedgerFenced

pytestmark = pytest.mark.integration

_tokens = itertools.count()


def token() -> str:
    return f"t{next(_tokens)}"


def block(after: int, *offsets: int, count: int = 3) -> Block:
    return Block(after, tuple(LogRecord(offset, AT, value(offset, AT, count)) for offset in offsets))


async def write_all(table: LedgerTable, blocks: dict[int, Block]) -> list[int | BaseException]:
    """The blocks at once, one for each partition; what each was told."""
    writes = [table.write(partition, written) for partition, written in blocks.items()]
    return await asyncio.gather(*writes, return_exceptions=True)


async def stored(db: ClickHouse, *partitions: int) -> tuple[int, int, int]:
    """In how many parts the rows of these partitions are, how many that is, and of how many entries."""
    sql = "SELECT uniqExact(_part), count(), uniqExact(event_id) FROM rev.entries "
    ((parts, rows, entries),) = await db.execute(f"{sql} WHERE raw_partition IN [{', '.join(map(str, partitions))}]")
    return int(parts), int(rows), int(entries)


async def test_partitions_that_are_written_together_are_one_part(db: ClickHouse, four: list[int]) -> None:
    """Blocks of several partitions at once are one statement and one part, each with its own rows."""
    table = LedgerTable(db, token)
    for partition in four:
        await table.take_over(partition)
    await db.execute("SYSTEM STOP MERGES rev.entries")
    try:
        many = {at: block(-1, *range(200), count=100) for at in four}
        assert sorted(map(str, await write_all(table, many))) == ["0", "0", "0", "80000"]
        assert await stored(db, *four) == (1, 80_000, 80_000)
    finally:
        await db.execute("SYSTEM START MERGES rev.entries")
    assert [await table.take_over(at) for at in four] == [199] * 4


async def test_of_partitions_written_together_only_the_culprit_fails(db: ClickHouse, four: list[int]) -> None:
    """Of those that go together, one that was taken over, has a gap or a bad record does not keep the others back."""
    table = LedgerTable(db, token)
    for partition in four:
        await table.take_over(partition)
    await write_all(table, {at: block(-1, 0) for at in four})
    _, taken, gap, bad = four
    await LedgerTable(db, token).take_over(taken)
    blocks = {at: block(0, 1) for at in four}
    blocks[gap] = block(1, 2)
    blocks[bad] = Block(0, (LogRecord(1, AT, value(1).replace(b'"total":"1.22"', b'"total":"1.23"', 1)),))
    told = await write_all(table, blocks)
    assert told[0] == 3
    assert [type(error) for error in told[1:]] == [LedgerFenced, LedgerFenced, InsertRefused]
    assert [(await stored(db, at))[1] for at in four] == [6, 3, 3, 3]


async def test_writers_that_take_over_at_once_never_double(db: ClickHouse, partition: int) -> None:
    """Two writers that take a partition over in the same moment and write the same block leave it once."""
    last = -1
    for _ in range(8):
        first, second = LedgerTable(db, token), LedgerTable(db, token)
        await asyncio.gather(first.take_over(partition), second.take_over(partition))
        same = block(last, *range(last + 1, last + 30), count=40)
        told = await asyncio.gather(first.write(partition, same), second.write(partition, same), return_exceptions=True)
        assert all(isinstance(answer, int | LedgerFenced) for answer in told)
        last = await LedgerTable(db, token).take_over(partition)
        assert last in (same.after, same.last)
        _, rows, entries = await stored(db, partition)
        assert rows == entries


async def test_a_take_over_waits_for_what_is_under_way(db: ClickHouse, partition: int) -> None:
    """A block that is being written while the partition is taken over is in the maximum, or never comes."""
    last = -1
    for _ in range(8):
        old, new = LedgerTable(db, token), LedgerTable(db, token)
        await old.take_over(partition)
        large = block(last, *range(last + 1, last + 100), count=100)
        writing = asyncio.create_task(old.write(partition, large))
        last = await new.take_over(partition)
        await asyncio.wait([writing])
        assert writing.exception() is None or isinstance(writing.exception(), LedgerFenced)
        assert last == await LedgerTable(db, token).take_over(partition)
        _, rows, entries = await stored(db, partition)
        assert rows == entries
