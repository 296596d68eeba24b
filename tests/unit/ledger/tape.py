"""A partition of rev.deliveries in a list, for tests of the copy of the attempts."""

import asyncio
import contextlib
from collections.abc import Sequence

from ledger.blocks import LogRecord
from ledger.errors import SourceStalled
from ledger.writer import OffsetBounds


class Tape:
    """It fails once where it is told to. ``at``: accepted time of every record, ms."""

    def __init__(self, values: Sequence[bytes], fails_at: int = -1, at: int = 0) -> None:
        self.values = values
        self.at = at
        self.fails_at = fails_at
        self.next = 0
        self.more = asyncio.Event()
        self.finished = asyncio.Event()
        """Somebody waits for more than there is, so all before has been dealt with."""

    async def open(self) -> OffsetBounds:
        return OffsetBounds(0, len(self.values))

    async def seek(self, offset: int) -> None:
        self.next = offset

    async def read(self, timeout: float) -> Sequence[LogRecord]:
        if self.next == self.fails_at:
            self.fails_at = -1
            raise SourceStalled("the broker is away")
        if self.next == len(self.values):
            if timeout:
                self.finished.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.more.wait(), timeout)
            return []
        self.next += 1
        return [LogRecord(self.next - 1, self.at, self.values[self.next - 1])]

    async def position(self) -> int:
        return self.next

    def end(self) -> int:
        return len(self.values)

    async def close(self) -> None:
        pass
