"""The ledger's table in memory, with the same contract as the real one, for tests of the writer.

Rows are (partition, offset, value). A predicate decides what ClickHouse refuses; an outage is a number of calls that
fail.
"""

from collections.abc import Callable

import msgspec

from ledger.blocks import Block
from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced, Unavailable


class MemoryRows:
    """The stored rows, shared by all the writers of one test."""

    def __init__(self, refuses: Callable[[bytes], bool] = lambda value: False) -> None:
        self.rows: list[tuple[int, int, bytes]] = []
        self.blocks: list[Block] = []
        self.seen: list[tuple[int, int, int]] = []
        """(partition, after, seen)"""
        self.owner: dict[int, object] = {}
        self.refuses = refuses
        self.outages = 0
        self.memory: int | None = None
        """Maximum records of a block that the table has memory for; None for no limit."""

    def maximum(self, partition: int) -> int:
        return max((offset for at, offset, _ in self.rows if at == partition), default=-1)


class MemoryTable:
    """One writer's view of MemoryRows."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows
        self._tickets: dict[int, object] = {}

    async def take_over(self, partition: int) -> int:
        self._fail_in_an_outage()
        self._tickets[partition] = self._rows.owner[partition] = object()
        return self._rows.maximum(partition)

    async def write(self, partition: int, block: Block) -> int:
        self._fail_in_an_outage()
        if self._tickets.get(partition) is not self._rows.owner.get(partition) or partition not in self._tickets:
            raise LedgerFenced("another writer took the partition over")
        if self._rows.memory is not None and len(block.records) > self._rows.memory:
            raise InsertTooLarge("no memory for so much at once")
        if any(self._rows.refuses(record.value) for record in block.records):
            raise InsertRefused("a record that can never be stored")
        maximum = self._rows.maximum(partition)
        if maximum < block.after:
            raise LedgerFenced("a gap before the block")
        fresh = [(partition, record.offset, record.value) for record in block.records if record.offset > maximum]
        self._rows.rows += fresh
        self._rows.blocks.append(block)
        return len(fresh)

    async def note_seen(self, partition: int, after: int, seen: int) -> None:
        self._fail_in_an_outage()
        self._rows.seen.append((partition, after, seen))

    async def seen(self, partition: int, after: int) -> int:
        self._fail_in_an_outage()
        return max((seen for at, since, seen in self._rows.seen if at == partition and since <= after), default=0)

    async def let_go(self, partition: int) -> None:
        self._tickets.pop(partition, None)

    def _fail_in_an_outage(self) -> None:
        if self._rows.outages:
            self._rows.outages -= 1
            raise Unavailable("an outage")


class MemoryDeliveryStore:
    """A ledger.delivery_copier.DeliveryStore in memory. ``rows``: partition and offset of each. ``refuses`` and
    ``memory`` as in MemoryRows; ``outages``: number of puts that fail."""

    def __init__(self, refuses: Callable[[bytes], bool] = lambda line: False) -> None:
        self.rows: list[tuple[int, int]] = []
        self.refuses = refuses
        self.memory: int | None = None
        self.outages = 0

    async def last(self, partition: int) -> int:
        return max((offset for at, offset in self.rows if at == partition), default=-1)

    async def put(self, lines: bytes) -> None:
        if self.outages:
            self.outages -= 1
            raise Unavailable("an outage")
        found = lines.split(b"\n")
        if self.memory is not None and len(found) > self.memory:
            raise InsertTooLarge("no memory for so much at once")
        if any(self.refuses(line) for line in found):
            raise InsertRefused("a record that can never be stored")
        places = [msgspec.json.decode(line) for line in found]
        self.rows += [(place["log_partition"], place["log_offset"]) for place in places]
