"""The decisions of one transaction, as the records to write and the replies to send. No I/O."""

from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.replies import ConfiguredReply, Reply, numbered
from streams import outbox, position
from streams.input_buffer import QueuedRecord
from streams.overlay import Overlay
from streams.reply_sender import ReplyAddress
from streams.topic_names import TopicNames
from streams.transaction import PartitionBatches, RecordIndex
from streams.types import Decision, StateView

SAFE_ENTRY = 1_000_000
"""Maximum bytes of an entry record that a broker accepts for certain. Kafka might refuse a larger one, so no reply that
depends on it is sent before the commit."""


class DeferredReply(NamedTuple):
    """A reply to be sent once the appends owed for it are done. ``view``: last view record of its decision."""

    to: ReplyAddress | None
    reply: Reply | None
    view: RecordIndex | None
    to_append: list[tuple[bytes, outbox.OutboxEntry]]


class TransactionBuilder:
    """The contents of one transaction. If :meth:`add` raises, it is unusable. ``below`` is the state decided on."""

    def __init__(
        self, producer: AIOKafkaProducer, partition: int, partitions: int, below: StateView, names: TopicNames
    ) -> None:
        self.overlay = Overlay(below)
        self.items: list[QueuedRecord] = []
        self.raw = self.events = 0
        """Total bytes and weight of the items."""
        self.immediate: list[tuple[ReplyAddress, Reply]] = []
        """Replies to send at once."""
        self.deferred: list[DeferredReply] = []
        """Replies to send after the commit."""
        self.entries = PartitionBatches(producer, names.entries, partition)
        self.state = PartitionBatches(producer, names.state, partition)
        self._view = PartitionBatches(producer, names.view, 0)
        self._dead = PartitionBatches(producer, names.dead, 0)
        self._raw = names.raw
        self._partitions = partitions

    def add(self, item: QueuedRecord, decision: Decision, immediate: bool) -> bool:
        """Add a decision. ``immediate``: its reply may be sent before the commit. Returns False if Kafka might refuse
        it: commit it before deciding more. Raises TypeError or ReservedKey for a decision that cannot be written."""
        record = item.input
        self.items.append(item)
        self.raw += item.size
        self.events += item.weight
        self.overlay.apply(decision)
        if decision.entries is not None:
            self.entries.add(record.key, decision.entries, record.at)
        index = None
        for key, value in decision.view:
            index = self._view.add(key, value, record.at)
        to_append = []
        if decision.outgoing:
            to_append = outbox.outbox_entries(record.offset, decision.outgoing, self._partitions)
            for key, one in to_append:
                self.overlay.set(key, outbox.encode(one))
        safe = decision.entries is None or len(decision.entries) <= SAFE_ENTRY
        reply = None
        if item.to is not None and decision.reply is not None:
            reply = numbered(decision.reply, item.request)
        if to_append or reply is not None:
            if (
                immediate
                and safe
                and not to_append
                and item.to is not None
                and reply
                and not isinstance(reply, ConfiguredReply)
            ):
                self.immediate.append((item.to, reply))
            else:
                self.deferred.append(DeferredReply(item.to, reply, index, to_append))
        return safe

    def dead_letter(self, item: QueuedRecord, reason: str) -> None:
        """Add a dead letter: the unchanged record, its address as the key, and the reason."""
        record = item.input
        source = f"{self._raw}/{record.partition}/{record.offset}".encode()
        headers = [("key", record.key), ("reason", reason[:2000].encode("utf-8", "replace"))]
        self._dead.add(source, record.value, record.at, headers)

    def finish(self, reached: position.Position, acknowledged: list[bytes]) -> list[PartitionBatches]:
        """Add the position and delete the acknowledged outbox records. Return the batches to commit."""
        for key in acknowledged:
            self.overlay.set(key, None)
        self.overlay.set(position.KEY, position.encode(reached))
        for key, value in self.overlay.changes.items():
            self.state.add(key, value, reached.at)
        return [batch for batch in (self.entries, self.state, self._view, self._dead) if batch.builders]

    def reply_of(self, answer: DeferredReply) -> Reply | None:
        """Return the reply with its view offset; only after the commit."""
        reply = answer.reply
        if answer.view is not None and isinstance(reply, ConfiguredReply):
            return msgspec.structs.replace(reply, view_offset=self._view.offset(answer.view))
        return reply
