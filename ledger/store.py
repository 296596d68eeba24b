"""The ledger's table as a partition's writer sees it: take over, write a block, nothing else.

Exactly once rests on one conditional INSERT (ledger/sql/insert.sql) and three habits: one
fixed query_id per partition, so that two of them cannot run at once; KILL … SYNC before the
maximum is read; a stage of the writer's own, dropped by whoever takes the partition over.
No insert_deduplication_token: after a crash of the server it swallows rows.
"""

from collections.abc import Callable
from typing import Protocol

from ledger.blocks import Block
from ledger.clickhouse import ClickHouse
from ledger.errors import Fenced
from ledger.sqltext import read

READING: dict[str, str | int] = {
    # metadata and detail as they were sent, byte for byte
    "input_format_json_read_objects_as_strings": 1,
    # absent is the default (omit_defaults); unknown or null is an error that somebody sees
    "input_format_json_defaults_for_missing_elements_in_named_tuple": 1,
    "input_format_json_ignore_unknown_keys_in_named_tuple": 0,
    "input_format_skip_unknown_fields": 0,
    "input_format_null_as_default": 0,
    "input_format_allow_errors_num": 0,
    "input_format_parallel_parsing": 0,
    "max_threads": 1,
}

ONE_PART: dict[str, str | int] = {
    "max_threads": 1,
    "max_insert_threads": 1,
    "max_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 1 << 30,
    "max_partitions_per_insert_block": 1,
    "throw_on_max_partitions_per_insert_block": 1,
    # machine code for expressions that see a few thousand rows costs more than it saves
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
}


class Store(Protocol):
    """One contract, two implementations: LedgerTable and ledger.memory.MemoryTable."""

    async def take_over(self, partition: int) -> int:
        """Stops whoever wrote the partition; the highest entries offset that it holds, or -1."""
        ...

    async def write(self, partition: int, block: Block) -> int:
        """Writes the block's records that are above the maximum; how many rows that were.

        Raises Fenced when the table is not where the block begins, Refused when it will never
        take these records, Unavailable when it is not known what happened.
        """
        ...

    async def note_seen(self, partition: int, after: int, seen: int) -> None:
        """Keeps that no record lies between ``after``, the partition's maximum, and ``seen``, the
        next offset to read. True for ever, so also a writer that is fenced may say it."""
        ...

    async def seen(self, partition: int, after: int) -> int:
        """The first offset that may still hold a record that ``after`` lacks, as far as was noted; 0: nothing was."""
        ...

    async def let_go(self, partition: int) -> None:
        """The writer will not come back."""
        ...


class LedgerTable:
    """The real table. ``token`` yields a name part that no other writer uses (hex digits)."""

    def __init__(self, clickhouse: ClickHouse, token: Callable[[], str]) -> None:
        self._clickhouse = clickhouse
        self._token = token
        self._stages: dict[int, str] = {}
        self._create = read("stage")
        self._insert = read("insert")

    async def take_over(self, partition: int) -> int:
        run = self._clickhouse.execute
        self._stages.pop(partition, None)
        await run(f"KILL QUERY WHERE query_id = '{query_id(partition)}' SYNC")
        # DROP … SYNC waits for a statement that slipped in; the next one finds no stage
        await self._drop_stages(partition)
        stage = f"rev._stage_{partition}_{self._token()}"
        await run(self._create.format(stage=stage))
        rows = await run(
            "SELECT if(count() = 0, -1, toInt64(max(entries_offset))) FROM rev.entries "
            f"WHERE raw_partition = {partition}"
        )
        self._stages[partition] = stage
        return int(rows[0][0])

    async def write(self, partition: int, block: Block) -> int:
        stage = self._stages.get(partition)
        if stage is None:
            raise Fenced(f"partition {partition} was not taken over")
        # what the block before left in the stage makes room by itself
        await self._clickhouse.insert(f"INSERT INTO {stage} FORMAT JSONEachRow", block.lines(), READING)
        sql = self._insert.format(
            stage=stage, partition=partition, after=block.after, last=block.last, records=len(block.records)
        )
        return await self._clickhouse.insert(sql, settings={**ONE_PART, "query_id": query_id(partition)})

    async def note_seen(self, partition: int, after: int, seen: int) -> None:
        await self._clickhouse.insert(
            f"INSERT INTO rev._seen (raw_partition, after, seen) VALUES ({partition}, {after}, {seen})"
        )

    async def seen(self, partition: int, after: int) -> int:
        rows = await self._clickhouse.execute(
            f"SELECT max(seen) FROM rev._seen WHERE raw_partition = {partition} AND after <= {after}"
        )
        return int(rows[0][0])

    async def let_go(self, partition: int) -> None:
        stage = self._stages.pop(partition, None)
        if stage is not None:
            await self._clickhouse.execute(f"DROP TABLE IF EXISTS {stage} SYNC")

    async def _drop_stages(self, partition: int) -> None:
        rows = await self._clickhouse.execute(
            f"SELECT name FROM system.tables WHERE database = 'rev' AND startsWith(name, '_stage_{partition}_')"
        )
        for (name,) in rows:
            await self._clickhouse.execute(f"DROP TABLE IF EXISTS rev.`{name}` SYNC")


def query_id(partition: int) -> str:
    """The id that every INSERT of a partition runs under."""
    return f"rev-ledger-{partition}"
