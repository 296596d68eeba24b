"""An in-memory log for tests of the gateway: appends, the pricer, replies, the view.

The pricer's pure Processor is passed in (services do not import each other), so that tests get
the decisions of the real pricer. It uses no Kafka, no files and no clock of its own.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import msgspec

from ingest.config_view import ConfigView
from schemas.replies import ConfiguredReply, Reply, numbered
from schemas.topics import REPLY_HEADER, partition_of
from streams.types import Decision, InputRecord, OutgoingRecord, Processor, RetainedRecord

Header = tuple[str, bytes]


class Placed(NamedTuple):
    """The position and time of an append."""

    partition: int
    offset: int
    timestamp_ms: int


class FakePendingReply(NamedTuple):
    """A request that waits for a reply."""

    n: int
    header: Header
    future: "asyncio.Future[Reply]"


class FakeRecord(NamedTuple):
    """One appended record."""

    key: bytes
    value: bytes
    headers: tuple[Header, ...]
    at: int


class FakeState:
    """One shard's state in a dictionary."""

    def __init__(self) -> None:
        self.pairs: dict[bytes, bytes] = {}
        self.memory: dict[bytes, RetainedRecord] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.pairs.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted((key, value) for key, value in self.pairs.items() if key.startswith(prefix)))

    def get_retained(self, key: bytes) -> RetainedRecord | None:
        return self.memory.get(key)

    def take(self, decision: Decision) -> None:
        """Apply the changes of a decision."""
        for key, value in decision.changes:
            if value is None:
                self.pairs.pop(key, None)
            else:
                self.pairs[key] = value
        for retained in decision.retained:
            self.memory[retained.key] = retained


class FakeReplies:
    """The receiver of replies to one gateway."""

    def __init__(self) -> None:
        self.ready = True
        self.positions: dict[int, int] = {}
        self.waiting: dict[int, asyncio.Future[Reply]] = {}
        self._numbers = count(1)

    def expect(self) -> FakePendingReply:
        n = next(self._numbers)
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.waiting[n] = future
        return FakePendingReply(n, (REPLY_HEADER, b"boot:%d:0" % n), future)

    def forget(self, n: int) -> None:
        self.waiting.pop(n, None)

    def answer(self, reply: Reply) -> None:
        """Deliver the reply if a request still waits for it."""
        future = self.waiting.get(reply.n)
        if future is not None and not future.done():
            future.set_result(reply)


class FakeLog:
    """rev.raw, the pricer behind it, rev.config and rev.replies, all synchronous and in memory.

    It is a CommandAppender and a Follower; ``replies`` is the ReplyPort. ``clock``: append times, ms.
    """

    def __init__(self, processor: Processor, view: ConfigView, partitions: int, clock: Callable[[], int]) -> None:
        self.processor = processor
        self.view = view
        self.replies = FakeReplies()
        self.raw: list[list[FakeRecord]] = [[] for _ in range(partitions)]
        self.entries: list[bytes] = []
        self.ready = True
        self.error: Exception | None = None
        """Raised by the next appends, which append nothing."""
        self.age = 0.0
        """The result of confirmed_age, in seconds."""
        self.lags_behind = False
        """True if the view is not fed and reached() never returns."""
        self.elsewhere = False
        """True if another gateway answers changes: the view is fed only when caught_up() is called."""
        self.appends: Counter[bytes] = Counter()
        self._clock = clock
        self._paused = False
        self.shards = [FakeState() for _ in range(partitions)]
        self._next = [0] * partitions
        self._view_offset = -1
        self._unseen: deque[tuple[bytes, bytes | None, int]] = deque()

    async def append(
        self, key: bytes, value: bytes, headers: Sequence[Header] = (), partition: int | None = None
    ) -> Placed:
        if self.error is not None:
            raise self.error
        return self._append(key, value, tuple(headers), partition)

    def confirmed_age(self) -> float:
        return self.age

    async def reached(self, offset: int) -> None:
        if self.lags_behind:
            await asyncio.get_running_loop().create_future()

    async def caught_up(self) -> None:
        await self.reached(self._view_offset)
        self._deliver()

    def pause(self) -> None:
        """Stop the pricer: appends stay unanswered."""
        self._paused = True

    def resume(self) -> None:
        """Let the pricer catch up."""
        self._paused = False
        self._price()

    def values(self) -> list[bytes]:
        """Return every command of a customer or of the configuration, in partition order."""
        return [record.value for shard in self.raw for record in shard if not record.key.startswith(b"_price")]

    def _append(self, key: bytes, value: bytes, headers: tuple[Header, ...], partition: int | None) -> Placed:
        shard = partition_of(key, len(self.raw)) if partition is None else partition
        at = self._clock()
        self.raw[shard].append(FakeRecord(key, value, headers, at))
        self.appends[key] += 1
        placed = Placed(shard, len(self.raw[shard]) - 1, at)
        if not self._paused:
            self._price()
        return placed

    def _price(self) -> None:
        behind = True
        while behind:
            behind = False
            for shard, records in enumerate(self.raw):
                while self._next[shard] < len(records):
                    self._apply(shard, records[self._next[shard]])
                    behind = True

    def _apply(self, shard: int, record: FakeRecord) -> None:
        offset = self._next[shard]
        self._next[shard] += 1
        request = next((int(value.split(b":")[1]) for name, value in record.headers if name == REPLY_HEADER), -1)
        decision = self.processor.apply(
            InputRecord(shard, offset, record.key, record.value, record.at), self.shards[shard]
        )
        self.shards[shard].take(decision)
        if decision.entries is not None:
            self.entries.append(decision.entries)
        self._show(decision)
        for outgoing in decision.outgoing:
            self._send(outgoing)
        self.replies.positions[shard] = offset + 1
        if decision.reply is not None:
            reply = numbered(decision.reply, request)
            if isinstance(reply, ConfiguredReply) and decision.view:
                reply = msgspec.structs.replace(reply, view_offset=self._view_offset)
            self.replies.answer(reply)

    def _show(self, decision: Decision) -> None:
        for key, value in decision.view:
            self._view_offset += 1
            self._unseen.append((key, value, self._view_offset))
        if not (self.lags_behind or self.elsewhere):
            self._deliver()

    def _deliver(self) -> None:
        while self._unseen:
            self.view.apply(*self._unseen.popleft())

    def _send(self, outgoing: OutgoingRecord) -> None:
        partitions = range(len(self.raw)) if outgoing.partitions is None else outgoing.partitions
        paused, self._paused = self._paused, True
        for partition in partitions:
            self._append(outgoing.key, outgoing.value, (), partition)
        self._paused = paused
