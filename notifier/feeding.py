"""Giving a lane that lags, or lacks bodies, what a page of the log has for it. Pure."""

from notifier.endpoints import Endpoint
from notifier.events import DomainEvent
from notifier.journal import Journal
from notifier.lanes import Lane
from notifier.letters import Letter, Range, Ref
from notifier.page import Page, concerns

GONE = "the log no longer holds it"


def feed(page: Page, lane: Lane, endpoint: Endpoint, journal: Journal, tail: int) -> bool:
    """False when there was no room or memory for anything. ``tail``: next offset of the partition's tail."""
    fed = _supply(page, lane, endpoint, journal)
    for stretch in lane.ranges:
        if stretch.resolved and page.covers(stretch.offset):
            fed = _walk(page, lane, stretch, endpoint, journal.now, tail) and fed
    return fed


def _supply(page: Page, lane: Lane, endpoint: Endpoint, journal: Journal) -> bool:
    for ref in [ref for ref in sorted(lane.unread) if page.covers(ref.offset)]:
        letter = _letter(page, ref, endpoint)
        if letter is None:
            journal.attempt(lane, lane.bury(lane.items[ref], GONE))
        elif not lane.supply(ref, letter):
            return False
    return True


def _walk(page: Page, lane: Lane, stretch: Range, endpoint: Endpoint, now: int, tail: int) -> bool:
    end = min(page.next, tail if stretch.end is None else stretch.end)
    began, at = (stretch.offset, stretch.place), stretch.at
    for line in page.after(stretch.offset):
        if line.offset >= end:
            break
        at = line.at
        if not concerns(line.key, endpoint):
            continue
        for event in page.events(line):
            if not _holds(stretch, endpoint, event) or (event.offset, event.place) < began:
                continue
            letter = page.letter(line, event)
            if letter is not None and not lane.refill(Ref(event.offset, event.place, stretch.replay), letter, now):
                lane.advance(stretch, event.offset, event.place, event.at, tail)
                return (event.offset, event.place) != began
    lane.advance(stretch, max(end, stretch.offset), 0, at, tail)
    return True


def _holds(stretch: Range, endpoint: Endpoint, event: DomainEvent) -> bool:
    """Whether the stretch is about the event, and the event for the endpoint."""
    if stretch.only is not None:
        return event.place == stretch.only and endpoint.owns(event)
    return endpoint.wants(event) and (stretch.replay or event.at >= endpoint.webhook.created_at)


def _letter(page: Page, ref: Ref, endpoint: Endpoint) -> Letter | None:
    line = page.at(ref.offset)
    if line is None:
        return None
    event = next((e for e in page.events(line) if e.place == ref.place and endpoint.owns(e)), None)
    return None if event is None else page.letter(line, event)
