"""The values that queues hold: references to events, what is sent of them, ranges of the log. Pure."""

from typing import NamedTuple

from schemas import deliveries

OVERHEAD = 400
"""Bytes that a body costs in memory beside itself."""


class EntryRef(NamedTuple):
    """Where the event of a delivery stands in rev.entries; a replay is a delivery of its own."""

    offset: int
    event_index: int
    replay: bool = False


class Payload(NamedTuple):
    """One event as it is sent. ``event``: event id of the entry; ``at``: accepted time, ms."""

    event: int
    type: str
    at: int
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body) + OVERHEAD


class Delivery:
    """A delivery that has not ended. ``tries``: how many were made; ``due``: when the next one is,
    ms; ``payload``: None while only the reference is in memory."""

    __slots__ = ("due", "event", "payload", "ref", "tries", "type")

    def __init__(
        self, ref: EntryRef, event: int, type: str, due: int, tries: int = 0, payload: Payload | None = None
    ) -> None:
        self.ref = ref
        self.event = event
        self.type = type
        self.due = due
        self.tries = tries
        self.payload = payload

    @property
    def event_id(self) -> str:
        return deliveries.event_id(self.event)


class OffsetRange:
    """Offsets [offset, end) that were not considered yet; in the record at ``offset`` only what
    stands at ``event_index`` or after. ``end`` None: as far as the tail. ``offset`` -1: from the first
    record at or after ``at``, which has to be asked for. ``at``: accepted time where it begins,
    ms. ``only``: one entry of one record, whatever the subscription says."""

    __slots__ = ("at", "end", "event_index", "offset", "only", "replay")

    def __init__(
        self,
        offset: int,
        end: int | None,
        at: int,
        *,
        event_index: int = 0,
        replay: bool = False,
        only: int | None = None,
    ) -> None:
        self.offset = offset
        self.end = end
        self.at = at
        self.event_index = event_index
        self.replay = replay
        self.only = only

    @property
    def resolved(self) -> bool:
        return self.offset >= 0

    def __repr__(self) -> str:
        return f"Range({self.offset}/{self.event_index}, {self.end}, replay={self.replay})"
