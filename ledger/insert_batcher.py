"""Blocks of several partitions that travel to the table together, in one statement.

What a statement costs hardly depends on what is in it, so whoever is ready goes with the next one.
Each partition waits for its own block only; that nobody writes a partition beside this process
is not decided here (ledger/store.py). No SQL and no I/O may come in here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ledger.blocks import ROW_MARK, Block, month_of
from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced

MAX_ROWS = 200_000
"""Rows of one statement, but for a block that is larger by itself: far below where the engine cuts it in two parts."""
MAX_BYTES = 32 << 20


class PendingInsert(NamedTuple):
    """A block in its stage."""

    partition: int
    block: Block
    stage: str

    @property
    def month(self) -> tuple[int, int]:
        return month_of(self.block.records[0].timestamp)

    @property
    def size(self) -> tuple[int, int]:
        """Rows, at most, and bytes."""
        values = [record.value for record in self.block.records]
        return sum(value.count(ROW_MARK) for value in values), sum(map(len, values))


InsertBlocks = Callable[[Sequence[PendingInsert]], Awaitable[int]]
"""Writes loads of different partitions and one month, all or nothing; how many rows that were."""


class InsertBatcher:
    """One statement at a time. It leaves when no block is on its way into its stage any more."""

    def __init__(self, send: InsertBlocks) -> None:
        self._send = send
        self._staging = 0
        self._waiting: list[tuple[PendingInsert, asyncio.Future[int]]] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """No statement runs."""
        return self._running is None

    async def submit(self, insert: PendingInsert, into_stage: Awaitable[object]) -> int:
        """Writes a block as soon as it is in its stage. The rows of a statement are told to one of its blocks, the
        others are told 0. Raises what loading or sending it alone raises."""
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
        """Who goes together: the first in line and everyone of its month for whom there is room."""
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
            # one by one: only who is to blame shall suffer
            if len(chosen) == 1:
                _fail(chosen, error)
            for one in chosen if len(chosen) > 1 else ():
                await self._insert([one])
        except Exception as error:
            # told to everyone who waits for it, whatever it is
            _fail(chosen, error)
        else:
            for index, (_, written) in enumerate(chosen):
                if not written.done():
                    written.set_result(0 if index else rows)


def _fail(chosen: list[tuple[PendingInsert, "asyncio.Future[int]"]], error: Exception) -> None:
    for _, written in chosen:
        if not written.done():
            written.set_exception(error)
