"""Blocks of several partitions that travel to the table together, in one statement.

What a statement costs hardly depends on what is in it, so whoever is ready goes with the next one.
Each partition waits for its own block only; that nobody writes a partition beside this process
is not decided here (ledger/store.py). No SQL and no I/O may come in here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ledger.blocks import ROW_MARK, Block, month_of
from ledger.errors import Fenced, Refused, TooLarge

MAX_ROWS = 200_000
"""Rows of one statement, but for a block that is larger by itself: far below where the engine cuts it in two parts."""
MAX_BYTES = 32 << 20


class Load(NamedTuple):
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


Send = Callable[[Sequence[Load]], Awaitable[int]]
"""Writes loads of different partitions and one month, all or nothing; how many rows that were."""


class Convoy:
    """One statement at a time. It leaves when no block is on its way into its stage any more."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loading = 0
        self._waiting: list[tuple[Load, asyncio.Future[int]]] = []
        self._travelling: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """No statement runs."""
        return self._travelling is None

    async def carry(self, load: Load, into_stage: Awaitable[object]) -> int:
        """Writes a block as soon as it is in its stage. The rows of a statement are told to one of its blocks, the
        others are told 0. Raises what loading or sending it alone raises."""
        self._loading += 1
        try:
            await into_stage
        finally:
            self._loading -= 1
            self._leave()
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((load, written))
        self._leave()
        return await written

    def _leave(self) -> None:
        if self._travelling is None and not self._loading and self._waiting:
            self._travelling = asyncio.create_task(self._travel(), name="ledger-convoy")

    async def _travel(self) -> None:
        try:
            while self._waiting and not self._loading:
                await self._deliver(self._next())
        finally:
            self._travelling = None

    def _next(self) -> list[tuple[Load, "asyncio.Future[int]"]]:
        """Who goes together: the first in line and everyone of its month for whom there is room."""
        chosen: list[tuple[Load, asyncio.Future[int]]] = []
        left: list[tuple[Load, asyncio.Future[int]]] = []
        rows = bytes_ = 0
        for load, written in self._waiting:
            more, larger = load.size
            fits = rows + more <= MAX_ROWS and bytes_ + larger <= MAX_BYTES
            if written.cancelled():
                continue
            if not chosen or (fits and load.month == chosen[0][0].month):
                chosen.append((load, written))
                rows, bytes_ = rows + more, bytes_ + larger
            else:
                left.append((load, written))
        self._waiting = left
        return chosen

    async def _deliver(self, chosen: list[tuple[Load, "asyncio.Future[int]"]]) -> None:
        if not chosen:
            return
        try:
            rows = await self._send([load for load, _ in chosen])
        except (Fenced, Refused, TooLarge) as error:
            # one by one: only who is to blame shall suffer
            if len(chosen) == 1:
                _fail(chosen, error)
            for one in chosen if len(chosen) > 1 else ():
                await self._deliver([one])
        except Exception as error:
            # told to everyone who waits for it, whatever it is
            _fail(chosen, error)
        else:
            for place, (_, written) in enumerate(chosen):
                if not written.done():
                    written.set_result(0 if place else rows)


def _fail(chosen: list[tuple[Load, "asyncio.Future[int]"]], error: Exception) -> None:
    for _, written in chosen:
        if not written.done():
            written.set_exception(error)
