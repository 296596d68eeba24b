"""One partition of a made-up log and a DeliveryScheduler over it, with a clock that the test turns.

Keeps the worker's promises without I/O: pages are cut from a list, a flush is written at once
or lost in a crash, and whoever crashes begins again from what was written.
"""

import msgspec

from notifier import backlog
from notifier.endpoint_queue import SOON
from notifier.endpoints import Endpoints
from notifier.entry_page import EntryLine, EntryPage
from notifier.resource_limits import ResourceLimits
from notifier.scheduler import DeliveryAttempt, DeliveryRules, DeliveryScheduler
from notifier.sender import WebhookResponse
from schemas import config, entries
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.config import Webhook
from schemas.deliveries import Attempt, Gap, decode_attempt, decode_gap
from schemas.entries import Entry, EntryRecord
from schemas.limits import DAY
from schemas.topics import CONFIG_KEY

PRICE = PriceRef(1, "chat", Rates("1.2", "0.0001", "0"), 0)
OK = WebhookResponse(200, latency_ms=3)
DOWN = WebhookResponse(500, latency_ms=3)
OURS = WebhookResponse(None, "not sent", ours=True)


def metered(customer: str, raw_offset: int, at: int, count: int = 1) -> bytes:
    """The record of ``count`` charged meter events."""
    event = MeterEvent("a", "chat", tokens=10)
    made = [Entry("event", n, event, 0, "1.2", "0.001", "0", "1.201") for n in range(count)]
    return entries.encode(EntryRecord(customer, raw_offset, at, made, [PRICE]))


def configured(raw_offset: int, at: int, type: str, detail: bytes) -> bytes:
    """The record of one configuration entry."""
    entry = Entry("config", 0, type=type, detail=msgspec.Raw(detail))
    return entries.encode(EntryRecord("_config", raw_offset, at, [entry]))


class World:
    """``log``: the partition's records. ``written``: the last value of each key of rev.backlogs.
    ``attempts`` and ``gaps``: what rev.deliveries holds."""

    def __init__(self, rules: DeliveryRules | None = None, limits: ResourceLimits | None = None) -> None:
        self.now = 1_000_000
        self.log: list[EntryLine] = []
        self.first = 0
        self.written: dict[bytes, bytes] = {}
        self.attempts: list[Attempt] = []
        self.gaps: list[Gap] = []
        self.dead: list[str] = []
        self.sent: list[tuple[int, int, int, bool]] = []
        """Endpoint, offset, place, replay of every request that was begun."""
        self.in_flight: list[DeliveryAttempt] = []
        self._views = 0
        self.hooks: dict[int, Webhook] = {}
        self._rules = rules or DeliveryRules(5 * DAY, 10_000_000, 1)
        self._given = limits
        self._records: list[tuple[bytes, bytes | None, int]] = [(b"epoch", b'{"epoch":"e"}', 0)]
        self.begin()

    # -- what others write

    def view(self, key: bytes, value: bytes | None, at: int | None = None) -> None:
        self._records.append((key, value, self.now if at is None else at))
        self.endpoints.apply(key, value, len(self._records) - 1, self._records[-1][2], self.now)
        self._resolve()

    def hook(self, id: int, customer: str = "c", hidden: bool = False, **changes: object) -> Webhook:
        """Create or change an endpoint; ``hidden``: the view does not show it before :meth:`show`."""
        known = self.hooks.get(id) or Webhook(id, customer, f"https://{id}.example", ["*"], "sealed", self.now)
        self.hooks[id] = msgspec.structs.replace(known, **changes)
        if not hidden:
            self.show(self.hooks[id])
        return self.hooks[id]

    def show(self, hook: Webhook) -> None:
        """The view shows what was hidden; its record is as old as the endpoint then is."""
        self.view(config.webhook_key(hook.id), config.encode(hook))

    def unhook(self, id: int) -> None:
        del self.hooks[id]
        self.view(config.webhook_key(id), None)

    def meter(self, customer: str = "c", count: int = 1) -> int:
        """Append a record of meter events; its offset."""
        return self.append(customer.encode(), metered(customer, len(self.log), self.now, count))

    def configure(self, type: str, detail: bytes) -> int:
        return self.append(CONFIG_KEY, configured(len(self.log), self.now, type, detail))

    def append(self, key: bytes, value: bytes) -> int:
        self.log.append(EntryLine(len(self.log), key, value, self.now))
        return len(self.log) - 1

    # -- what the worker does

    def begin(self) -> None:
        """A new owner of the partition, from what was written."""
        self.endpoints = Endpoints()
        for offset, (key, value, at) in enumerate(self._records):
            self.endpoints.apply(key, value, offset, at, self.now)
        self.limits = self._given or ResourceLimits()
        self.scheduler = DeliveryScheduler(0, self.endpoints, self.limits, self._rules, lambda: 0.0)
        self.in_flight = []
        known = self.scheduler.restore(self.written)
        start = known.next if known is not None else 0
        self.scheduler.begin(start, known, self.first, self.now)

    def crash(self) -> None:
        self.scheduler.close()
        self.begin()

    def page(self, offset: int, most: int = 500) -> EntryPage:
        lines = [line for line in self.log[offset : offset + most] if line.offset >= self.first]
        return EntryPage(0, offset, lines, min(len(self.log), offset + most))

    def tail(self, most: int = 1000) -> None:
        if self.scheduler.next < len(self.log):
            self.scheduler.tail(self.page(self.scheduler.next, most), self.now)

    def catch_up(self, most: int = 500) -> bool:
        """One turn of the second reader; whether there was anything to read."""
        self._resolve()
        offset = self.scheduler.want()
        if offset is None:
            return False
        if offset < self.first:
            self.scheduler.log_begins(self.first, self.now)
        else:
            self.scheduler.read(self.page(offset, most), self.now)
        return True

    def _resolve(self) -> None:
        for queue, offset_range in self.scheduler.unresolved():
            later = (line.offset for line in self.log if line.at >= offset_range.at and line.offset >= self.first)
            self.scheduler.resolve(queue, offset_range, next(later, len(self.log)), self.first, self.now)

    def start(self) -> list[DeliveryAttempt]:
        """Begin what is due."""
        begun = self.scheduler.start(self.now)
        for attempt in begun:
            self.sent.append((attempt.endpoint.id, *attempt.delivery.ref))
        self.in_flight += begun
        return begun

    def answer(self, attempt: DeliveryAttempt, answer: WebhookResponse = OK) -> None:
        self.in_flight.remove(attempt)
        if answer.ours:
            self.scheduler.not_sent(attempt, SOON, self.now)
        else:
            self.scheduler.answered(attempt, answer, self.now)

    def flush(self) -> None:
        flush = self.scheduler.snapshot(self.now)
        for key, value in flush.backlogs:
            if value is None:
                self.written.pop(key, None)
            else:
                self.written[key] = value
        for _, value in flush.records.deliveries:
            if b'"gap"' in value or b'"reason"' in value:
                self.gaps.append(decode_gap(value))
            else:
                self.attempts.append(decode_attempt(value))
        self.dead += [fault.reason for fault in flush.records.dead]

    def settle(self, answer: WebhookResponse = OK, turns: int = 10_000) -> None:
        """Read, send, answer and write until nothing more happens at this time."""
        idle = 0
        for _ in range(turns):
            self.tail()
            read = self.catch_up()
            begun = self.start()
            for attempt in list(self.in_flight):
                self.answer(attempt, answer)
            idle = 0 if begun or read else idle + 1
            if idle > 2 and self.scheduler.next >= len(self.log):
                break
        else:
            raise AssertionError("it does not settle")
        self.flush()

    @property
    def left(self) -> dict[bytes, bytes]:
        """What is written beside the position."""
        return {key: value for key, value in self.written.items() if key != backlog.POSITION}
