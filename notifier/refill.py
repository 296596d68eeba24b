"""Gives a queue that lags or lacks bodies what a page of the log has for it. Pure."""

from notifier.delivery import EntryRef, OffsetRange, Payload
from notifier.endpoint_queue import EndpointQueue
from notifier.endpoints import Endpoint
from notifier.entry_page import EntryPage, concerns
from notifier.events import DomainEvent
from notifier.recorder import DeliveryRecorder

GONE = "the log no longer holds it"


def refill(
    page: EntryPage, queue: EndpointQueue, endpoint: Endpoint, recorder: DeliveryRecorder, tail: int, now: int
) -> bool:
    """Give the queue what the page has for it. Return False if there was no room or memory for anything.
    ``tail``: next offset of the partition's tail."""
    fed = _load_bodies(page, queue, endpoint, recorder, now)
    for offset_range in queue.ranges:
        if offset_range.resolved and page.covers(offset_range.offset):
            fed = _fill_from_range(page, queue, offset_range, endpoint, now, tail) and fed
    return fed


def _load_bodies(
    page: EntryPage, queue: EndpointQueue, endpoint: Endpoint, recorder: DeliveryRecorder, now: int
) -> bool:
    for ref in [ref for ref in sorted(queue.unread) if page.covers(ref.offset)]:
        payload = _payload(page, ref, endpoint)
        if payload is None:
            recorder.attempt(queue, queue.discard(queue.deliveries[ref], GONE), now)
        elif not queue.load_body(ref, payload):
            return False
    return True


def _fill_from_range(
    page: EntryPage, queue: EndpointQueue, offset_range: OffsetRange, endpoint: Endpoint, now: int, tail: int
) -> bool:
    end = min(page.next, tail if offset_range.end is None else offset_range.end)
    began, at = (offset_range.offset, offset_range.event_index), offset_range.at
    for line in page.after(offset_range.offset):
        if line.offset >= end:
            break
        at = line.at
        if not concerns(line.key, endpoint):
            continue
        for event in page.events(line):
            if not _includes(offset_range, endpoint, event) or (event.offset, event.event_index) < began:
                continue
            payload = page.payload(line, event)
            if payload is not None and not queue.refill(
                EntryRef(event.offset, event.event_index, offset_range.replay), payload, now
            ):
                queue.advance(offset_range, event.offset, event.event_index, event.at, tail)
                return (event.offset, event.event_index) != began
    queue.advance(offset_range, max(end, offset_range.offset), 0, at, tail)
    return True


def _includes(offset_range: OffsetRange, endpoint: Endpoint, event: DomainEvent) -> bool:
    """True if the range includes the event and the event is for the endpoint."""
    if offset_range.only is not None:
        return event.event_index == offset_range.only and endpoint.owns(event)
    return endpoint.wants(event) and (offset_range.replay or event.at >= endpoint.webhook.created_at)


def _payload(page: EntryPage, ref: EntryRef, endpoint: Endpoint) -> Payload | None:
    line = page.at(ref.offset)
    if line is None:
        return None
    event = next((e for e in page.events(line) if e.event_index == ref.event_index and endpoint.owns(e)), None)
    return None if event is None else page.payload(line, event)
