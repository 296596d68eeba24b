"""Appends to the input that a shard owes after a commit.

They are kept in its state, sent in order until acknowledged, and sent again after a restart. This module does not
interpret them.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import msgspec
import structlog

from streams import metrics
from streams.appends import Appended
from streams.errors import AppendUnknown, NotRecorded
from streams.state import StateStore
from streams.types import OutgoingRecord

log = structlog.get_logger("streams.outbox")

PREFIX = b"!outbox/"
RETRY = 0.2
"""Seconds between attempts, with jitter."""


class InputAppender(Protocol):
    """The interface of streams.appends.Appender, or of a fake."""

    async def append(
        self,
        key: bytes,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...] = (),
        partition: int | None = None,
    ) -> Appended: ...


class OutboxEntry(msgspec.Struct, frozen=True):
    """A record and the partitions it must reach."""

    partitions: list[int]
    key: bytes
    value: bytes


class _OutboxBatch(NamedTuple):
    """The records that one command owes, and the callback for when all of them are recorded."""

    to_append: list[tuple[bytes, OutboxEntry]]
    then: Callable[[], Awaitable[None]] | None


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(OutboxEntry).decode


def state_key(offset: int, index: int) -> bytes:
    """Return a state key. Keys sort in the order in which the records are sent."""
    return PREFIX + b"%020d/%04d" % (offset, index)


def outbox_entries(
    offset: int, outgoing: tuple[OutgoingRecord, ...], partitions: int
) -> list[tuple[bytes, OutboxEntry]]:
    """Return the state records for what the command at ``offset`` sends. ``partitions`` is the number of partitions."""
    return [
        (
            state_key(offset, index),
            OutboxEntry(list(range(partitions) if one.partitions is None else one.partitions), one.key, one.value),
        )
        for index, one in enumerate(outgoing)
    ]


class Outbox:
    """A sender of one record after the other. ``acknowledged`` holds the state keys of recorded records, to be deleted
    by the shard's next transaction. ``retry`` is in seconds."""

    def __init__(self, shard: int, sender: InputAppender, retry: float = RETRY) -> None:
        self.acknowledged: list[bytes] = []
        self._shard = shard
        self._sender = sender
        self._retry = retry
        self._batches: deque[_OutboxBatch] = deque()
        self._work = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def resume(self, store: StateStore) -> None:
        """Send again what an earlier run of the shard may not have sent."""
        to_append = [(key, _decode(value)) for key, value in store.scan(PREFIX)]
        if to_append:
            log.info("outbox_resumed", shard=self._shard, records=len(to_append))
            self.put(to_append, None)

    def put(self, to_append: list[tuple[bytes, OutboxEntry]], then: Callable[[], Awaitable[None]] | None) -> None:
        """Send these records after all earlier ones; call ``then`` when all of them are recorded."""
        self._batches.append(_OutboxBatch(to_append, then))
        metrics.OUTBOX.labels(self._shard).set(len(self._batches))
        self._work.set()

    @property
    def busy(self) -> bool:
        """True if any record is not acknowledged yet."""
        return bool(self._batches)

    def check(self) -> None:
        """Raise the error that ended the sending, if any."""
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            while self._batches:
                batch = self._batches[0]
                for key, to_append in batch.to_append:
                    await asyncio.gather(*(self._deliver(to_append, partition) for partition in to_append.partitions))
                    self.acknowledged.append(key)
                self._batches.popleft()
                metrics.OUTBOX.labels(self._shard).set(len(self._batches))
                if batch.then is not None:
                    await batch.then()
            self._work.clear()
            await self._work.wait()

    async def _deliver(self, to_append: OutboxEntry, partition: int) -> None:
        while True:
            try:
                await self._sender.append(to_append.key, to_append.value, partition=partition)
                return
            except (NotRecorded, AppendUnknown) as error:
                # The record may then arrive twice, which streams.types permits.
                log.warning("outbox_append_failed", shard=self._shard, to=partition, error=repr(error))
                await asyncio.sleep(self._retry * (0.5 + random.random()))
