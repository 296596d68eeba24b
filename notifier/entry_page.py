"""Records of rev.entries as read, decoded only if an endpoint may want them. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from notifier.delivery import Payload
from notifier.endpoints import Endpoint
from notifier.events import DomainEvent, ReplayJob, domain_events, replays
from schemas import entries
from schemas.topics import CONFIG_KEY


class EntryLine(NamedTuple):
    """One record. ``at``: its timestamp, the accepted time, ms."""

    offset: int
    key: bytes
    value: bytes
    at: int


class Fault(NamedTuple):
    """Record with content that can never be sent, and the reason."""

    line: EntryLine
    reason: str


class EntryPage:
    """Offsets [start, next) of a partition; those without a line hold nothing that was committed.
    ``faults``: what could not be read or rendered so far."""

    def __init__(self, partition: int, start: int, lines: Sequence[EntryLine], next: int) -> None:
        self.start = start
        self.next = next
        self.lines = lines
        self.faults: list[Fault] = []
        self._partition = partition
        self._offsets = [line.offset for line in lines]
        self._read: dict[int, tuple[list[DomainEvent], list[ReplayJob]]] = {}
        self._payloads: dict[tuple[int, int], Payload | None] = {}

    def covers(self, offset: int) -> bool:
        return self.start <= offset < self.next

    def after(self, offset: int) -> Sequence[EntryLine]:
        """Return the lines from this offset on."""
        return self.lines[bisect_left(self._offsets, offset) :]

    def at(self, offset: int) -> EntryLine | None:
        found = self.after(offset)
        return found[0] if found and found[0].offset == offset else None

    def events(self, line: EntryLine) -> list[DomainEvent]:
        """Return the record's events; none if it cannot be read."""
        return self._decoded(line)[0]

    def jobs(self, line: EntryLine) -> list[ReplayJob]:
        return self._decoded(line)[1]

    def payload(self, line: EntryLine, event: DomainEvent) -> Payload | None:
        """Return the event as it is sent, built once for all endpoints; None if it cannot be built."""
        key = event.offset, event.event_index
        if key not in self._payloads:
            try:
                self._payloads[key] = Payload(event.number, event.type, event.at, event.body())
            except Exception as error:  # one unreadable record must not stop the others
                self._payloads[key] = None
                self.faults.append(Fault(line, repr(error)))
        return self._payloads[key]

    def _decoded(self, line: EntryLine) -> tuple[list[DomainEvent], list[ReplayJob]]:
        found = self._read.get(line.offset)
        if found is None:
            found = self._read[line.offset] = self._decode(line)
        return found

    def _decode(self, line: EntryLine) -> tuple[list[DomainEvent], list[ReplayJob]]:
        try:
            record = entries.decode(line.value)
            return list(domain_events(self._partition, line.offset, record)), list(replays(line.offset, record))
        except Exception as error:  # as above
            self.faults.append(Fault(line, repr(error)))
            return [], []


def concerns(key: bytes, endpoint: Endpoint) -> bool:
    """True if a record with this key can hold anything for the endpoint."""
    return key == CONFIG_KEY or key == endpoint.webhook.customer_id.encode()
