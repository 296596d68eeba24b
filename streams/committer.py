"""A shard's uncommitted decisions, and their commits. This module makes no decisions.

At most two transactions are in memory: the one being committed, and the one being decided on top of it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from schemas.limits import MAX_TRANSACTION_EVENTS, MAX_TRANSACTION_RAW
from streams import metrics
from streams.clients import Clock
from streams.errors import Hung
from streams.heartbeat_timeout import within
from streams.input_buffer import QueuedRecord
from streams.outbox import Outbox
from streams.position import Position
from streams.rejects import BrokerRejections
from streams.restore import Restored
from streams.state import FORMAT, Checkpoint, StateStore
from streams.transaction import commit
from streams.transaction_builder import TransactionBuilder
from streams.types import StateView

EVERY = 0.1
"""Seconds that decisions wait for others before they are committed, unless a reply waits for the commit."""
HANGING = 20.0
"""Seconds that a commit may take, including the work that follows it."""
REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError)
"""Errors with which Kafka rejects records permanently: a retry never succeeds."""


class Committer:
    """The committer of one shard. ``version`` is the processor's. ``transaction`` begins a transaction on top of a
    state; ``committed`` is called with each committed one. ``immediate`` is true if decisions may be answered before
    they are committed: from the first commit on, whose position records this. ``next`` is the rev.raw offset after the
    last committed record."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        store: StateStore,
        outbox: Outbox,
        rejections: BrokerRejections,
        restored: Restored,
        version: int,
        *,
        transaction: Callable[[StateView], TransactionBuilder],
        committed: Callable[[TransactionBuilder], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self.immediate = restored.immediate
        self.pending = transaction(store)
        self._producer, self._store, self._outbox, self._rejections = producer, store, outbox, rejections
        self._reached = restored.checkpoint
        self.next, self._at = restored.next, restored.at
        self._version = version
        self._work, self._then = transaction, committed
        self._clock = clock
        self._began = 0.0
        self._busy = False
        self._closing = False
        self._over = False
        self._asked, self._urgent, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def has_room(self, item: QueuedRecord) -> bool:
        """True if an item fits into the pending transaction: within the bounds, but at least one."""
        pending = self.pending
        if not pending.items:
            return True
        return (
            pending.raw + item.size <= MAX_TRANSACTION_RAW
            and pending.events + item.weight <= MAX_TRANSACTION_EVENTS
            and (self._rejections.max_records is None or len(pending.items) < self._rejections.max_records)
        )

    def ask(self) -> None:
        """Request a commit, after a decision or an acknowledged append: within `EVERY`, or at once if a reply waits."""
        if not self._asked.is_set():
            self._began = self._clock()
            self._asked.set()
        if self.pending.deferred:
            self._urgent.set()

    async def moved(self) -> None:
        """Request a commit and wait until the next one begins or ends. Raises Hung if commits have ended."""
        self._push()
        moved = self._moved
        await moved.wait()
        if self._over:
            raise Hung("the shard's commits have ended")

    async def flush(self, clean: bool = False) -> None:
        """Wait until every decision is committed. With ``clean``, also wait until the position records that nothing
        else was answered. Nothing may be decided meanwhile, and afterwards nothing is answered early before the next
        commit."""
        if clean:
            self._closing = True
        try:
            while self._busy or self.pending.items or (clean and self.immediate):
                await self.moved()
        finally:
            if clean:
                self._closing = False

    def begin_again(self) -> list[QueuedRecord]:
        """Discard the pending transaction and return its items, to be decided again."""
        items = self.pending.items
        below = self.pending.overlay.below
        self.pending = self._work(below)
        return items

    async def run(self) -> None:
        """Commit on request. Raises whatever a commit raises; uncommitted records must then be decided again from the
        log, by another run of the shard."""
        try:
            while True:
                await self._asked.wait()
                left = self._began + EVERY - self._clock()
                if left > 0:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(left):
                            await self._urgent.wait()
                self._asked.clear()
                self._urgent.clear()
                await within(HANGING, self._commit())
        finally:
            self._over = True
            self._moved.set()

    def _push(self) -> None:
        self._asked.set()
        self._urgent.set()

    async def _commit(self) -> None:
        """Commit to Kafka, and only then write to the local store."""
        transaction, acknowledged = self.pending, list(self._outbox.acknowledged)
        clean = self._closing
        if not transaction.items and not acknowledged and not (clean and self.immediate):
            self._move()
            return
        began = self._clock()
        last = transaction.items[-1].input if transaction.items else None
        following = self.next if last is None else last.offset + 1
        position = Position(following, self._at if last is None else last.at, self._reached.epoch, self._version, clean)
        batches = transaction.finish(position, acknowledged)
        if clean:
            self.immediate = False
        self._busy = True
        self.pending = self._work(transaction.overlay)
        self._move()
        try:
            await commit(self._producer, batches)
        except REFUSED:
            self._rejections.refused([item.input.offset for item in transaction.items])
            raise
        state, entries = transaction.state.end(), transaction.entries.end()
        self._reached = Checkpoint(
            self._reached.epoch,
            self._reached.state if state is None else state,
            self._reached.entries if entries is None else entries,
            position.at,
            FORMAT,
        )
        self._store.write(transaction.overlay.changes, transaction.overlay.retained.values(), self._reached)
        self.pending.overlay.rest_on(self._store)
        del self._outbox.acknowledged[: len(acknowledged)]
        self.next, self._at = position.next, position.at
        if not clean:
            self.immediate = True
        self._rejections.taken(self.next - 1)
        metrics.TRANSACTION.observe(self._clock() - began)
        await self._then(transaction)
        self._busy = False
        self._move()

    def _move(self) -> None:
        """Wake everyone waiting for space or for the end of a commit."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
