"""Domain events: those that a record of rev.entries contains, their owners and their bodies.

Pure. A record always yields the same bytes: a retry, a replay and a delivery after a crash send what the
first attempt sent. Subscriptions do not belong here.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from schemas import deliveries
from schemas.commands import ReplayWebhook
from schemas.entries import Entry, EntryRecord
from schemas.ids import event_id
from schemas.meter_responses import EventResponse, metered, subject
from schemas.objects import iso
from schemas.replies import receipt_of

TEST = "webhook.test"
PRICED = "pricing.updated"
EVERYBODY = None


class Named(msgspec.Struct, frozen=True):
    """Fields of any configuration entry's ``detail`` that identify its owner."""

    customer_id: str | None = None
    id: int | None = None
    test: bool = False


class RefusedCommand(msgspec.Struct, frozen=True):
    """Data of event.rejected."""

    event_id: int
    customer_id: str
    status: str
    error: str
    event: EventResponse
    created_at: str
    test: bool


class DomainEvent(NamedTuple):
    """Event that can be sent to an endpoint. ``at``: accepted time, ms UTC."""

    offset: int
    event_index: int
    """``index`` of the entry; with the raw address it makes the event id."""
    type: str
    owner: str | None
    """Customer; None: every customer."""
    only: int | None
    """Id of the endpoint, if the event is for one only."""
    test: bool | None
    """True for test mode; None if the event concerns both modes, as prices do."""
    at: int
    entry: Entry
    record: EntryRecord
    partition: int

    @property
    def number(self) -> int:
        """Event id of the entry."""
        return event_id(self.partition, self.record.raw_offset, self.event_index)

    @property
    def id(self) -> str:
        """Value of webhook-id."""
        return deliveries.event_id(self.number)

    def body(self) -> bytes:
        """Return the body that is signed and sent."""
        return b'{"id":"%s","type":"%s","created_at":"%s","data":%s}' % (
            self.id.encode(),
            self.type.encode(),
            iso(self.at).encode(),
            _data(self),
        )


class ReplayJob(NamedTuple):
    """Replay recorded in the log; it covers what comes before ``offset``."""

    offset: int
    command: ReplayWebhook


_encode = msgspec.json.Encoder().encode
_named = msgspec.json.Decoder(Named).decode
_replay = msgspec.json.Decoder(ReplayWebhook).decode


def domain_events(partition: int, offset: int, record: EntryRecord) -> Iterator[DomainEvent]:
    """Yield the events of the record at this offset of rev.entries, in order."""
    for entry in record.entries:
        type = type_of(entry)
        if type is None:
            continue
        owner: str | None = record.customer_id
        only = None
        test: bool | None = record.test
        if entry.kind == "config":
            named = _named(entry.detail)
            owner = named.customer_id
            only = named.id if type == TEST else None
            test = None if type == PRICED else named.test
        yield DomainEvent(
            offset=offset,
            event_index=entry.index,
            type=type,
            owner=owner,
            only=only,
            test=test,
            at=record.recorded_at,
            entry=entry,
            record=record,
            partition=partition,
        )


def replays(offset: int, record: EntryRecord) -> Iterator[ReplayJob]:
    """Yield the replays that the record requests."""
    for entry in record.entries:
        if entry.kind == "config" and entry.type == deliveries.REPLAY:
            yield ReplayJob(offset, _replay(entry.detail))


def type_of(entry: Entry) -> str | None:
    """Return the type of the entry's domain event; None if the entry is not one."""
    match entry.kind:
        case "event":
            return "meter.created"
        case "void":
            return "meter.voided"
        case "adjustment":
            return "adjustment.created"
        case "charge" | "waived":
            return f"outcome.{entry.verdict}"
        case "rejected":
            return "event.rejected" if entry.type is None and entry.event is not None else None
        case "config":
            return entry.type if entry.type in deliveries.TYPES else None
        case _:
            return None


def _data(event: DomainEvent) -> bytes:
    entry, record = event.entry, event.record
    if event.type == "meter.created":
        assert entry.event is not None
        receipt = receipt_of(entry, record.prices[entry.price], event.number, record.recorded_at)
        return metered(record.customer_id, entry.event, receipt, record.test)
    if event.type == "event.rejected":
        assert entry.event is not None
        asked = subject(record.customer_id, entry.event)
        at, why = iso(record.recorded_at), entry.reason or ""
        return _encode(
            RefusedCommand(
                event_id=event.number,
                customer_id=record.customer_id,
                status="rejected",
                error=why,
                event=asked,
                created_at=at,
                test=record.test,
            )
        )
    return bytes(entry.detail) or b"{}"
