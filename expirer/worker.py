"""The timers of one partition: read and followed from rev.state, with reminders sent through rev.raw."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from expirer import metrics
from expirer.clock import MILLION, BrokerClock
from expirer.month_timers import MonthTimers
from expirer.state_reader import TEST, StateReader
from expirer.timers import Reminder, Timers
from expirer.unpriced_notices import UnpricedNotices, UnpricedRowKey
from schemas import commands, ids, reservations
from schemas.topics import STATE
from streams.appends import Appender
from streams.errors import StreamError
from streams.views import CompactedView
from streams.waiting import finished

log = structlog.get_logger("expirer.worker")

Expiry = commands.Expire | commands.ExpireReservation | commands.ExpireGrant

TICK = 0.05
"""Seconds between checks for due outcomes."""
IN_FLIGHT = 500
"""Maximum reminders appended at once; the next ones wait until these are acknowledged."""
FETCH = 2 << 20
"""Bytes of rev.state per fetch. Fetched data is in memory twice, for each partition."""
GATHER = 200
"""ms that the broker may gather changes of rev.state; far less than the second that a reminder may be late."""
UNCONFIRMED = 5.0
"""Seconds without a fetch confirming that everything was read, after which the worker is not ready."""
REPORT = 20
"""Ticks between metrics updates."""
NAMED = 5
"""Maximum outcomes named in a log line."""


class ExpiryWorker:
    """The streams.partition_workers.Worker of one partition. Two for the same partition only send reminders twice.
    ``ready_clock`` is true if the broker's time is known; until then nothing is sent."""

    def __init__(
        self,
        kafka: str,
        partition: int,
        appender: Appender,
        clock: BrokerClock,
        *,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.partition = partition
        self.timers = Timers(partition)
        self.reserved = Timers(partition)
        """Of reservations; the metrics are of outcomes."""
        self.grants = Timers(partition)
        self.months = MonthTimers()
        self.unpriced = UnpricedNotices()
        self._appender = appender
        self._clock = clock
        self._monotonic = monotonic
        apply = StateReader(self.timers, self.reserved, self.grants, self.months, self.unpriced).apply
        self._view = CompactedView(kafka, STATE, apply, partition=partition, fetch=FETCH, gather=GATHER)
        self._complete = False
        self._stopping = asyncio.Event()
        self._log = log.bind(partition=partition)

    @property
    def complete(self) -> bool:
        """True once it has read rev.state and reminds."""
        return self._complete

    @property
    def not_ready_reason(self) -> str | None:
        """Why it does not send every reminder now, or None."""
        if not self._complete:
            return f"partition {self.partition}: reading {STATE}, now at offset {self._view.position}"
        age = self._view.confirmed_age()
        return f"partition {self.partition}: {STATE} was not read for {age:.0f} s" if age > UNCONFIRMED else None

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped."""
        try:
            if await self._read():
                await self._work()
        finally:
            await self._view.stop()
            self._forget()

    async def _read(self) -> bool:
        """Read rev.state. Return True once everything is read, False if stopped before."""
        began = self._monotonic()
        if not await finished(self._view.start(), self._stopping):
            return False
        self._complete = True
        seconds = round((self._monotonic() - began) / 1e9, 2)
        self._log.info("timers_rebuilt", open=self.timers.open, offset=self._view.position, seconds=seconds)
        return True

    async def _work(self) -> None:
        """Send due reminders at every TICK."""
        ticks = 0
        while not self._stopping.is_set():
            if ticks % REPORT == 0:
                self._report()
            ticks += 1
            if await self._remind() + await self._close_months() + await self._charge_unpriced():
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._stopping.wait()

    async def _remind(self) -> int:
        """Send due reminders and return how many there were."""
        if not (self._clock.known and self._appender.ready):
            return 0
        now, tick = self._now(), self._tick()
        due = self.timers.take(now, tick, IN_FLIGHT)
        reserved = self.reserved.take(now, tick, IN_FLIGHT)
        grants = self.grants.take(now, tick, IN_FLIGHT)
        sending = [self._append(self.timers, one, outcome_expiry(one)) for one in due]
        sending += [self._append(self.reserved, one, reservation_expiry(one)) for one in reserved]
        sending += [self._append(self.grants, one, grant_expiry(one)) for one in grants]
        if sending:
            stand = await asyncio.gather(*sending)
            named = [ids.outcome_id(one.event_id) for one in due[:NAMED]]
            held = [reservations.reservation_id(one.event_id) for one in reserved[:NAMED]]
            self._log.info("reminded", count=len(sending), lost=stand.count(False), outcomes=named, reservations=held)
        return len(sending)

    async def _append(self, timers: Timers, one: Reminder, command: Expiry) -> bool:
        offset = await self._appended(command)
        timers.sent(one.event_id, offset, self._tick())
        return offset >= 0

    async def _close_months(self) -> int:
        """Send notices of months that are over, and return how many there were."""
        if not (self._clock.known and self._appender.ready):
            return 0
        due = self.months.take(self._now(), self._tick(), IN_FLIGHT)
        if due:
            stand = await asyncio.gather(*(self._append_close(key, command) for key, command in due))
            named = [f"{command.customer_id} {command.month} {command.action}" for _, command in due[:NAMED]]
            self._log.info("months_closing", count=len(due), lost=stand.count(False), months=named)
        return len(due)

    async def _append_close(self, key: bytes, command: commands.CloseMonth) -> bool:
        offset = await self._appended(command)
        self.months.sent(key, offset, self._tick())
        return offset >= 0

    async def _charge_unpriced(self) -> int:
        """Send notices of events whose price has come, and return how many there were."""
        if not (self._clock.known and self._appender.ready):
            return 0
        due = self.unpriced.take(self._now(), self._tick(), IN_FLIGHT)
        if due:
            stand = await asyncio.gather(*(self._append_charge(row, command) for row, command in due))
            events = sum(len(command.event_ids) for _, command in due)
            named = [f"{row.customer_id} {row.action}" for row, _ in due[:NAMED]]
            self._log.info("unpriced_charging", count=events, lost=stand.count(False), actions=named)
        return len(due)

    async def _append_charge(self, row: UnpricedRowKey, command: commands.ChargeUnpriced) -> bool:
        offset = await self._appended(command)
        self.unpriced.sent(row, command, offset, self._tick())
        return offset >= 0

    async def _appended(self, command: Expiry | commands.Notice) -> int:
        """Append a reminder and return its offset in rev.raw; -1 if it is unknown whether it was recorded."""
        key, value = command.customer_id.encode(), commands.encode(command)
        try:
            stands = await self._appender.append(key, value, partition=self.partition)
        except StreamError as error:
            metrics.REMINDERS_LOST.labels(type(error).__name__).inc()
            return -1
        metrics.REMINDERS.inc()
        return stands.offset

    def _now(self) -> int:
        return self._clock.now(self._monotonic())

    def _tick(self) -> int:
        return self._monotonic() // MILLION

    def _report(self) -> None:
        oldest = min((at for at in (self.timers.oldest(), self.months.oldest()) if at is not None), default=None)
        overdue = 0.0 if oldest is None else max(0.0, (self._now() - oldest) / 1000)
        metrics.OPEN.labels(self.partition).set(self.timers.open)
        metrics.DUE.labels(self.partition).set(self.timers.due + self.months.due)
        metrics.OVERDUE.labels(self.partition).set(overdue)

    def _forget(self) -> None:
        for gauge in (metrics.OPEN, metrics.DUE, metrics.OVERDUE):
            with contextlib.suppress(KeyError):
                gauge.remove(self.partition)


def outcome_expiry(one: Reminder) -> commands.Expire:
    """Return the command that a reminder of an outcome is."""
    return commands.Expire(one.customer, ids.outcome_id(one.event_id))


def reservation_expiry(one: Reminder) -> commands.ExpireReservation:
    """Return the command that a reminder of a reservation is."""
    test = one.customer.endswith(TEST)
    id = reservations.reservation_id(one.event_id)
    return commands.ExpireReservation(one.customer.removesuffix(TEST), id, test)


def grant_expiry(one: Reminder) -> commands.ExpireGrant:
    """Return the command that a reminder of a grant is."""
    return commands.ExpireGrant(one.customer.removesuffix(TEST), one.event_id, one.customer.endswith(TEST))
