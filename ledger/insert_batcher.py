"""Batching of several partitions' blocks into one INSERT statement.

The cost of a statement hardly depends on its size, so every ready block goes with the next one. Each partition waits
only for its own block. That nobody else writes a partition at the same time is ensured elsewhere (ledger/store.py).
Contains no SQL and no I/O.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ledger.blocks import ROW_MARK, Block
from schemas.months import month_around
from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced

MAX_ROWS = 200_000
"""Maximum rows of one statement, except for a larger single block. Far below where the engine splits it into two
parts."""
MAX_BYTES = 32 << 20


class PendingInsert(NamedTuple):
    """A block in its staging table."""

    partition: int
    block: Block
    stage: str

    @property
    def month(self) -> tuple[int, int]:
        return month_around(self.block.records[0].timestamp)

    @property
    def size(self) -> tuple[int, int]:
        """An upper bound of the rows, and the bytes."""
        values = [record.value for record in self.block.records]
        return sum(value.count(ROW_MARK) for value in values), sum(map(len, values))


InsertBlocks = Callable[[Sequence[PendingInsert]], Awaitable[int]]
"""Writes inserts of different partitions and one month atomically. Returns the number of rows."""


class InsertBatcher:
    """A batcher that runs one statement at a time. A statement starts once no block is still being staged."""

    def __init__(self, send: InsertBlocks) -> None:
        self._send = send
        self._staging = 0
        self._waiting: list[tuple[PendingInsert, asyncio.Future[int]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """True if no statement is running."""
        return self._running is None

    async def submit(self, insert: PendingInsert, into_stage: Awaitable[object]) -> int:
        """Write a block as soon as it is staged. One block of a statement gets the statement's row count, the others
        get 0. Raises whatever staging it or sending it alone raises."""
        self._staging += 1
        try:
            await into_stage
        finally:
            self._staging -= 1
            self._start_if_ready()
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((insert, written))
        self._start_if_ready()
        return await written

    def _start_if_ready(self) -> None:
        if self._running is None and not self._staging and self._waiting:
            self._running = asyncio.create_task(self._run(), name="ledger-insert-batcher")

    async def _run(self) -> None:
        try:
            while self._waiting and not self._staging:
                await self._insert(self._next())
        finally:
            self._running = None

    def _next(self) -> list[tuple[PendingInsert, "asyncio.Future[int]"]]:
        """Return the next statement's inserts: the first in line, and all of its month that fit."""
        chosen: list[tuple[PendingInsert, asyncio.Future[int]]] = []
        left: list[tuple[PendingInsert, asyncio.Future[int]]] = []
        rows = bytes_ = 0
        for insert, written in self._waiting:
            more, larger = insert.size
            fits = rows + more <= MAX_ROWS and bytes_ + larger <= MAX_BYTES
            if written.cancelled():
                continue
            if not chosen or (fits and insert.month == chosen[0][0].month):
                chosen.append((insert, written))
                rows, bytes_ = rows + more, bytes_ + larger
            else:
                left.append((insert, written))
        self._waiting = left
        return chosen

    async def _insert(self, chosen: list[tuple[PendingInsert, "asyncio.Future[int]"]]) -> None:
        if not chosen:
            return
        try:
            rows = await self._send([insert for insert, _ in chosen])
        except (LedgerFenced, InsertRefused, InsertTooLarge) as error:
            # one by one, so that only the faulty one fails
            if len(chosen) == 1:
                _fail(chosen, error)
            for one in chosen if len(chosen) > 1 else ():
                await self._insert([one])
        except Exception as error:
            # any error is passed on to everyone who waits
            _fail(chosen, error)
        else:
            for index, (_, written) in enumerate(chosen):
                if not written.done():
                    written.set_result(0 if index else rows)


def _fail(chosen: list[tuple[PendingInsert, "asyncio.Future[int]"]], error: Exception) -> None:
    for _, written in chosen:
        if not written.done():
            written.set_exception(error)
