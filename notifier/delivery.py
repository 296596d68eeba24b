"""Values that queues hold: references to events, event payloads, ranges of the log. Pure."""

from typing import NamedTuple

from schemas import deliveries

OVERHEAD = 400
"""Memory overhead of a body, in bytes, beyond its length."""


class EntryRef(NamedTuple):
    """Position of a delivery's event in rev.entries. A replay is a separate delivery."""

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
    """Delivery that has not ended. ``tries``: number of attempts made; ``due``: time of the next attempt,
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
    """Offsets [offset, end) that were not considered yet. In the record at ``offset``, only entries at
    ``event_index`` or later belong to the range. ``end`` None: up to the tail. ``offset`` -1: from the
    first record at or after ``at``, whose offset has to be looked up. ``at``: accepted time at the start of
    the range, ms. ``only``: one entry of one record, regardless of the subscription."""

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
