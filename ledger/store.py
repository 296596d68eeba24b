"""The ledger's table as a partition's writer uses it: take over, write a block, nothing else.

Exactly once depends on one conditional INSERT (warehouse/sql/insert.sql) and on its never running twice at once for a
partition. The fence is the stage that it reads, a table of the writer's own: a writer that takes the partition over
creates a stage, then drops every other one, and only then reads the maximum. DROP … SYNC waits until no statement uses
the table, and a later statement does not find it. If two writers take over at once, the one whose stage was created
later drops the other's. One statement may read several stages, so it carries several partitions
(ledger/insert_batcher.py). No insert_deduplication_token: after a server crash it swallows rows.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

from ledger.blocks import Block
from ledger.insert_batcher import InsertBatcher, PendingInsert
from warehouse import columns
from warehouse.client import ClickHouse
from warehouse.errors import LedgerFenced

READING: dict[str, str | int] = {
    # metadata and detail exactly as sent, byte for byte
    "input_format_json_read_objects_as_strings": 1,
    # an absent field means its default (omit_defaults); an unknown or null one is an error that gets noticed
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
    # compiling expressions that see a few thousand rows costs more than it saves
    "compile_expressions": 0,
    "compile_aggregate_expressions": 0,
    # compares each condition of a WHERE with every other, for a quarter of the time of the statement
    "optimize_and_compare_chain": 0,
    # the one that has the maxima, so that no other is weighed against it among the newest parts
    "preferred_optimize_projection_name": "watermark",
}


class LedgerStore(Protocol):
    """One contract, two implementations: LedgerTable and ledger.memory.MemoryTable."""

    async def take_over(self, partition: int) -> int:
        """Stop any other writer of the partition. Return the highest entries offset stored, or -1."""
        ...

    async def write(self, partition: int, block: Block) -> int:
        """Write the block's records above the maximum. Return the number of rows (for blocks written together, only the
        sum is right).

        Raises LedgerFenced if the table does not end where the block begins, InsertRefused if it will never accept
        these records, InsertTooLarge if fewer of them may pass, Unavailable if the result is unknown.
        """
        ...

    async def note_seen(self, partition: int, after: int, seen: int) -> None:
        """Store that no record lies between ``after``, the partition's maximum, and ``seen``, the next offset to read.
        This stays true for ever, so a fenced writer may store it too."""
        ...

    async def seen(self, partition: int, after: int) -> int:
        """Return the first offset that may hold a record beyond ``after``, as far as was noted; 0 if nothing was."""
        ...

    async def let_go(self, partition: int) -> None:
        """Release the partition; the writer will not come back."""
        ...


class LedgerTable:
    """The table in ClickHouse. ``token`` returns a part of a name that no other writer uses (letters and digits)."""

    def __init__(self, clickhouse: ClickHouse, token: Callable[[], str]) -> None:
        self._clickhouse = clickhouse
        self._name = token()
        self._numbers = itertools.count()
        self._stages: dict[int, str] = {}
        self._create = columns.stage_sql()
        self._insert = columns.insert_sql()
        self._batcher = InsertBatcher(self._write_together)

    async def take_over(self, partition: int) -> int:
        self._stages.pop(partition, None)
        stage = f"_stage_{partition}_{self._name}_{next(self._numbers)}"
        await self._clickhouse.execute(self._create.format(stage=f"rev.{stage}"))
        # in this order: the later stage's owner drops the earlier stage
        await self._end_others(partition, stage)
        rows = await self._clickhouse.execute(
            "SELECT if(count() = 0, -1, toInt64(max(entries_offset))) FROM rev.entries "
            f"WHERE raw_partition = {partition}"
        )
        self._stages[partition] = f"rev.{stage}"
        return int(rows[0][0])

    async def write(self, partition: int, block: Block) -> int:
        stage = self._stages.get(partition)
        if stage is None:
            raise LedgerFenced(f"partition {partition} was not taken over")
        # the previous block's rows in the stage are evicted automatically
        staging = self._clickhouse.insert(f"INSERT INTO {stage} FORMAT JSONEachRow", block.lines(), READING)
        return await self._batcher.submit(PendingInsert(partition, block, stage), staging)

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

    async def _write_together(self, loads: Sequence[PendingInsert]) -> int:
        loads = sorted(loads)
        sql = self._insert.format(
            staged=" UNION ALL ".join(
                f"SELECT toUInt16({at}) AS raw_partition, * FROM {stage}" for at, _, stage in loads
            ),
            partitions=", ".join(str(load.partition) for load in loads),
        )
        # As parameters, so that the text stays the same and the engine remembers what it is.
        parameters = {
            "param_firsts": str([(at, block.after + 1) for at, block, _ in loads]),
            "param_blocks": str([(at, len(block.records), block.last) for at, block, _ in loads]),
        }
        settings = {**ONE_PART, **parameters, "query_id": query_id(self._name)}
        return await self._clickhouse.insert(sql, settings=settings)

    async def _end_others(self, partition: int, mine: str) -> None:
        """Ensure that no statement reading another stage of the partition is running or can run later."""
        rows = await self._clickhouse.execute(
            "SELECT name FROM system.tables WHERE database = 'rev' "
            f"AND startsWith(name, '_stage_{partition}_') AND name != '{mine}'"
        )
        for (name,) in rows:
            writer = name.split("_")[3]
            # only to shorten the wait; never a statement of ours, which may carry others' blocks
            if writer != self._name or self._batcher.idle:
                await self._clickhouse.execute(f"KILL QUERY WHERE query_id = '{query_id(writer)}' SYNC")
            await self._clickhouse.execute(f"DROP TABLE IF EXISTS rev.`{name}` SYNC")


def query_id(writer: str) -> str:
    """Return the query id of every INSERT of one writer."""
    return f"rev-ledger-{writer}"
