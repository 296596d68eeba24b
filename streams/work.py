"""The decisions of one transaction, as the records that it will write, and their answers. No I/O."""

from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.replies import Configured, Reply, numbered
from streams import outbox, position
from streams.answers import To
from streams.intake import Item
from streams.names import Names
from streams.overlay import Overlay
from streams.transaction import Draft, Place
from streams.types import Decision, StateView

SURE = 1_000_000
"""Bytes of an entry record that a broker takes as it comes. Kafka might refuse a larger one, so nothing is answered
that rests on it before it is committed."""


class Answer(NamedTuple):
    """Who gets which reply, after what is owed for it. ``view``: last view record of its decision."""

    to: To | None
    reply: Reply | None
    view: Place | None
    owed: list[tuple[bytes, outbox.Owed]]


class Work:
    """Drafts of one transaction. An exception of :meth:`add` leaves it unusable. ``below``: what it is decided on."""

    def __init__(
        self, producer: AIOKafkaProducer, partition: int, partitions: int, below: StateView, names: Names
    ) -> None:
        self.overlay = Overlay(below)
        self.items: list[Item] = []
        self.raw = self.events = 0
        """Bytes and weight of the items."""
        self.prompt: list[tuple[To, Reply]] = []
        """Answers to be sent at once."""
        self.late: list[Answer] = []
        """Answers to be sent after the commit."""
        self.entries = Draft(producer, names.entries, partition)
        self.state = Draft(producer, names.state, partition)
        self._view = Draft(producer, names.view, 0)
        self._dead = Draft(producer, names.dead, 0)
        self._raw = names.raw
        self._partitions = partitions

    def add(self, item: Item, decision: Decision, prompt: bool) -> bool:
        """``prompt``: whether its answer may be given before the commit. False: Kafka might refuse this, so commit
        it before more is decided. Raises TypeError or HostKey for a decision that cannot be written."""
        record = item.input
        self.items.append(item)
        self.raw += item.size
        self.events += item.weight
        self.overlay.absorb(decision)
        if decision.entries is not None:
            self.entries.add(record.key, decision.entries, record.at)
        place = None
        for key, value in decision.view:
            place = self._view.add(key, value, record.at)
        owed = []
        if decision.outgoing:
            owed = outbox.owe(record.offset, decision.outgoing, self._partitions)
            for key, one in owed:
                self.overlay.set(key, outbox.encode(one))
        sure = decision.entries is None or len(decision.entries) <= SURE
        reply = None
        if item.to is not None and decision.reply is not None:
            reply = numbered(decision.reply, item.request)
        if owed or reply is not None:
            if prompt and sure and not owed and item.to is not None and reply and not isinstance(reply, Configured):
                self.prompt.append((item.to, reply))
            else:
                self.late.append(Answer(item.to, reply, place, owed))
        return sure

    def bury(self, item: Item, reason: str) -> None:
        """A dead letter: the record as it was, its address as the key, and why."""
        record = item.input
        source = f"{self._raw}/{record.partition}/{record.offset}".encode()
        headers = [("key", record.key), ("reason", reason[:2000].encode("utf-8", "replace"))]
        self._dead.add(source, record.value, record.at, headers)

    def finish(self, reached: position.Position, settled: list[bytes]) -> list[Draft]:
        """Add the position and what is no longer owed; the drafts to commit."""
        for key in settled:
            self.overlay.set(key, None)
        self.overlay.set(position.KEY, position.encode(reached))
        for key, value in self.overlay.changes.items():
            self.state.add(key, value, reached.at)
        return [draft for draft in (self.entries, self.state, self._view, self._dead) if draft.builders]

    def reply_of(self, answer: Answer) -> Reply | None:
        """The reply with its view offset; after the commit only."""
        reply = answer.reply
        if answer.view is not None and isinstance(reply, Configured):
            return msgspec.structs.replace(reply, view_offset=self._view.offset(answer.view))
        return reply
