"""Appends to the input that a shard owes after a commit: kept in its state, sent in order until
acknowledged, and sent again after a restart. What they mean may not come in here.
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
from streams.errors import NotRecorded, Unknown
from streams.state import Store
from streams.types import Outgoing

log = structlog.get_logger("streams.outbox")

PREFIX = b"!outbox/"
RETRY = 0.2
"""Seconds, with jitter, between two tries."""


class Sender(Protocol):
    """streams.appends.Appender, or a fake of it."""

    async def append(
        self,
        key: bytes,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...] = (),
        partition: int | None = None,
    ) -> Appended: ...


class Owed(msgspec.Struct, frozen=True):
    """One record and the partitions that it must reach."""

    partitions: list[int]
    key: bytes
    value: bytes


class _Parcel(NamedTuple):
    """What one command owes, and what to do when all of it stands."""

    owed: list[tuple[bytes, Owed]]
    then: Callable[[], Awaitable[None]] | None


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Owed).decode


def state_key(offset: int, place: int) -> bytes:
    """Keys sort in the order in which the records are to be sent."""
    return PREFIX + b"%020d/%04d" % (offset, place)


def owe(offset: int, outgoing: tuple[Outgoing, ...], partitions: int) -> list[tuple[bytes, Owed]]:
    """State records for what the command at ``offset`` sends; ``partitions``: how many there are."""
    return [
        (
            state_key(offset, place),
            Owed(list(range(partitions) if one.partitions is None else one.partitions), one.key, one.value),
        )
        for place, one in enumerate(outgoing)
    ]


class Outbox:
    """Sends one record after the other. ``settled`` holds the state keys whose records stand,
    to be deleted by the shard's next transaction. ``retry`` in seconds."""

    def __init__(self, shard: int, sender: Sender, retry: float = RETRY) -> None:
        self.settled: list[bytes] = []
        self._shard = shard
        self._sender = sender
        self._retry = retry
        self._parcels: deque[_Parcel] = deque()
        self._work = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def resume(self, store: Store) -> None:
        """Send again what an earlier life of the shard may not have sent."""
        owed = [(key, _decode(value)) for key, value in store.scan(PREFIX)]
        if owed:
            log.info("outbox_resumed", shard=self._shard, records=len(owed))
            self.put(owed, None)

    def put(self, owed: list[tuple[bytes, Owed]], then: Callable[[], Awaitable[None]] | None) -> None:
        """Send these after everything put before; call ``then`` when all of them stand."""
        self._parcels.append(_Parcel(owed, then))
        metrics.OUTBOX.labels(self._shard).set(len(self._parcels))
        self._work.set()

    @property
    def busy(self) -> bool:
        """Whether something that was put is not acknowledged yet."""
        return bool(self._parcels)

    def check(self) -> None:
        """Raises what ended the sending, if anything did."""
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            while self._parcels:
                parcel = self._parcels[0]
                for key, owed in parcel.owed:
                    await asyncio.gather(*(self._deliver(owed, partition) for partition in owed.partitions))
                    self.settled.append(key)
                self._parcels.popleft()
                metrics.OUTBOX.labels(self._shard).set(len(self._parcels))
                if parcel.then is not None:
                    await parcel.then()
            self._work.clear()
            await self._work.wait()

    async def _deliver(self, owed: Owed, partition: int) -> None:
        while True:
            try:
                await self._sender.append(owed.key, owed.value, partition=partition)
                return
            except (NotRecorded, Unknown) as error:
                # It may arrive twice then, which the seam allows.
                log.warning("outbox_append_failed", shard=self._shard, to=partition, error=repr(error))
                await asyncio.sleep(self._retry * (0.5 + random.random()))
