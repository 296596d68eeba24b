"""Blocks: contiguous ranges of rev.entries that ClickHouse stores as one part. Pure.

A block holds records of one calendar month (UTC) of the accepted time: a block over two months becomes two parts, and a
crash between them would lose rows for ever. Values are passed on verbatim: only their address is spliced in, nothing is
decoded.
"""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.months import month_around

MAX_ROWS = 20_000
MAX_BYTES = 8 << 20
ROW_MARK = b'{"kind":"'


class LogRecord(NamedTuple):
    """One record of rev.entries; ``timestamp`` is the accepted time in ms."""

    offset: int
    timestamp: int
    value: bytes


class Block(NamedTuple):
    """Records to write at once. ``after``: the offset that ClickHouse must hold already (-1: none)."""

    after: int
    records: tuple[LogRecord, ...]

    @property
    def last(self) -> int:
        return self.records[-1].offset

    def lines(self) -> bytes:
        """Return JSONEachRow lines: each value with its offset spliced in as the first member."""
        return b"".join([b'{"entries_offset":%d,%b\n' % (r.offset, r.value[1:]) for r in self.records])

    def halves(self) -> tuple["Block", "Block"]:
        """Return two consecutive blocks. Requires at least two records."""
        middle = len(self.records) // 2
        first = Block(self.after, self.records[:middle])
        return first, Block(first.last, self.records[middle:])


class Builder:
    """A builder that collects records in offset order into the next block."""

    def __init__(self, after: int, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> None:
        self._after = after
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._records: list[LogRecord] = []
        self._rows = self._bytes = 0
        self._month = (0, 0)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def full(self) -> bool:
        return self._rows >= self._max_rows or self._bytes >= self._max_bytes

    def add(self, record: LogRecord) -> bool:
        """Add a record. Return False if it must open the next block. An empty builder accepts everything, so that a
        record of any size goes through."""
        if record.offset <= self.last:
            raise ValueError(f"offset {record.offset} does not follow {self.last}")
        if not self._records:
            self._month = month_around(record.timestamp)
        elif self.full or not self._month[0] <= record.timestamp < self._month[1]:
            return False
        self._records.append(record)
        # an estimate is enough for a bound: metadata that contains the mark only makes it higher
        self._rows += record.value.count(ROW_MARK)
        self._bytes += len(record.value)
        return True

    @property
    def last(self) -> int:
        return self._records[-1].offset if self._records else self._after

    def take(self) -> Block:
        """Return the block collected so far; the builder continues with the next one."""
        block = Block(self._after, tuple(self._records))
        self._after = self.last
        self._records = []
        self._rows = self._bytes = 0
        return block


def fill(builder: Builder, records: Sequence[LogRecord]) -> int:
    """Add records and return how many the builder took. If not all, its block is ready to be written."""
    for count, record in enumerate(records):
        if not builder.add(record):
            return count
    return len(records)
