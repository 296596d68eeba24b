"""How a view shares the event loop. Against Kafka: tests/integration."""

import asyncio
from typing import Any, NamedTuple

import pytest

from streams import views
from streams.partition_reader import Ends
from streams.views import CompactedView

BATCHES = 5


class Record(NamedTuple):
    key: bytes
    value: bytes
    offset: int
    timestamp: int = 0


class Buffered:
    """A reader of BATCHES reads that were all fetched before, so that none of them suspends."""

    answered = 1
    end = stable_end = BATCHES

    def __init__(self, *_: Any, **__: Any) -> None:
        self._next = 0

    async def open(self) -> Ends:
        return Ends(0, BATCHES)

    def seek(self, offset: int) -> None:
        self._next = offset

    async def read(self, wait: float, most: int) -> list[Record]:
        if self._next == BATCHES:
            await asyncio.Event().wait()
        self._next += 1
        return [Record(b"k", b"v", self._next - 1)]

    async def position(self) -> int:
        return self._next

    async def close(self) -> None:
        pass


async def test_other_tasks_run_between_the_reads_of_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the next records are there already: an expirer reminds for its other partitions meanwhile."""
    monkeypatch.setattr(views, "PartitionReader", Buffered)
    seen: list[int] = []
    view = CompactedView("nowhere", "t", lambda key, value, offset: None)

    async def other() -> None:
        while view.position < BATCHES:
            seen.append(view.position)
            await asyncio.sleep(0)

    await asyncio.gather(view.start(), other())
    assert set(range(1, BATCHES)) <= set(seen)
    await view.stop()
