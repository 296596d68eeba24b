"""Brings usage to Stripe's meters, hour by hour, and records how far it is.

An interval is what was accepted between two full hours. The ledger gives the same lines for it at any time, in the same
order, each with an identifier of its own; so what was cut off is sent again, and Stripe counts it once. Late events and
voids are lines of a later interval: Stripe adds them to the hour that they are of. An attempt is recorded before it
begins: after a day Stripe forgets identifiers, and then the meter itself is asked whether it has a line.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from collector import metrics
from collector.book import Book, Change
from collector.settling import SETTLING
from collector.stripe.calls import MAX_ERROR, Call, StripeAway, StripeRefuses, listed
from collector.stripe.meter_apis import EventStream, MeterApi, SingleEvents
from collector.stripe.meter_lines import find_meters, identifier, lines_of, make_event, rules_of
from collector.stripe.meter_sending import MeterSending, Record
from collector.stripe.pusher import delay
from collector.stripe.stripe_customers import GivenIds, IdsUnknown
from schemas.invoices import METER_KEY, meter_line_key
from schemas.limits import HOUR
from schemas.meters import MeterLine, MeterPosition, MeterRule, RefusedMeterLine
from schemas.months import month_around
from schemas.objects import iso
from warehouse.errors import ReadsUnavailable
from warehouse.meter_totals import MeterReads
from warehouse.time_range import LAST

CHUNK = 200
"""Lines between two records of what is sent."""
REMEMBERED = 20 * HOUR
"""ms within which Stripe knows an identifier for certain; it does so for 24 h."""
CUSTOMER = "{customer}"
"""What stands in files where Stripe's id would."""
log = structlog.get_logger("collector.stripe")


class MeterMode(NamedTuple):
    """``rules``: what is counted. ``first``: ms; usage from before is not sent; 0: the start of its first month.

    ``call`` sends a request; None: intervals are written to ``directory``. ``streams``: over the meter event stream.
    """

    rules: tuple[MeterRule, ...]
    first: int
    call: Call | None
    directory: Path
    streams: bool = False


class MeterPusher:
    """The usage of one owner. ``record`` commits changes and applies them to the book; ``now`` returns ms UTC.
    ``ids``: the customers of Stripe that administrators gave."""

    def __init__(
        self,
        mode: MeterMode,
        reads: MeterReads,
        record: Record,
        now: Callable[[], int],
        ids: GivenIds,
    ) -> None:
        self._mode = mode
        self._reads = reads
        self._record = record
        self._now = now
        self._ids = ids
        self._api: MeterApi | None = None
        if mode.call is not None:
            self._api = (EventStream if mode.streams else SingleEvents)(mode.call, now)
        self._interval: tuple[int, int, list[MeterLine]] = (0, 0, [])

    async def step(self, book: Book) -> bool:
        """Do what is due now; return whether anything was. What fails is tried again later."""
        position = book.meter
        if position is None:
            first = self._mode.first or month_around(self._now()).start
            await self._record([Change(METER_KEY, MeterPosition(first))])
            return True
        metrics.METER_UNTIL.set(position.since // 1000)
        metrics.METER_REFUSED.set(len(book.refused_lines))
        if self._now() < position.due:
            return False
        try:
            if not position.as_of:
                return await self._begin(position)
            return await self._go_on(book, position)
        except (StripeAway, StripeRefuses, ReadsUnavailable, IdsUnknown, OSError) as error:
            await self._failed(position, error)
            return False

    async def _begin(self, position: MeterPosition) -> bool:
        """Begin an interval, if an hour has ended and the ledger holds it."""
        as_of = (self._now() - SETTLING) // HOUR * HOUR
        if as_of <= position.since or not await self._reads.is_settled(as_of):
            return False
        await self._check_meters()
        rules = tuple(rule.text for rule in self._mode.rules)
        begun = {text: position.begun.get(text, position.since) for text in rules}
        await self._record([Change(METER_KEY, replace(position, as_of=as_of, rules=rules, begun=begun))])
        return True

    async def _check_meters(self) -> None:
        """Raise StripeRefuses if a meter is not there: Stripe takes events without one, and drops them later."""
        if self._mode.call is None:
            return
        formulas = {
            str(one["event_name"]): one["default_aggregation"]["formula"]
            async for one in listed(self._mode.call, find_meters())
        }
        for rule in self._mode.rules:
            if formulas.get(rule.event_name) != "sum":
                raise StripeRefuses(
                    f"Stripe has no active meter {rule.event_name} that sums; make one, or change REV_STRIPE_METERS"
                )

    async def _go_on(self, book: Book, position: MeterPosition) -> bool:
        lines = await self._lines(position)
        chunk = lines[position.done : position.done + CHUNK]
        if self._mode.call is None:
            await self._ids.catch_up()
            given = {line.customer_id: self._ids.get(line.customer_id) for line in lines}
            await asyncio.to_thread(_written, self._mode.directory, position, lines, given)
            await self._end(position, len(lines))
        elif chunk:
            await self._send_chunk(book, position, chunk)
        else:
            await self._send_refused(book, position)
            await self._end(position, len(lines))
        return True

    async def _lines(self, position: MeterPosition) -> list[MeterLine]:
        since, as_of, lines = self._interval
        if (since, as_of) != (position.since, position.as_of):
            rules = rules_of(position)
            rows = await self._reads.meter_totals(rules, position.since, position.as_of, position.first, LAST)
            lines = lines_of(position, rows)
            self._interval = position.since, position.as_of, lines
        return lines

    async def _send_chunk(self, book: Book, position: MeterPosition, chunk: Sequence[MeterLine]) -> None:
        now, attempts, tried = self._now(), position.attempts + 1, position.tried
        position = replace(position, tried=tried or now, attempts=attempts, due=now + delay(attempts))
        await self._record([Change(METER_KEY, position)])
        sent = await self._send(book, [(line, tried) for line in chunk], position)
        changes = []
        for line in chunk:
            if words := sent.refused.get(identifier(line)):
                log.error(
                    "meter_event_refused", customer=line.customer_id, meter=line.rule, hour=iso(line.hour), error=words
                )
                since = tried if identifier(line) in sent.in_doubt else 0
                changes.append(Change(meter_line_key(identifier(line)), RefusedMeterLine(line, words, tried=since)))
        metrics.METER_EVENTS.inc(len(chunk) - len(sent.refused))
        done = position.done + len(chunk)
        after = replace(position, done=done, tried=0, attempts=0, due=0, error="")
        await self._record([*changes, Change(METER_KEY, after)])

    async def _send_refused(self, book: Book, position: MeterPosition) -> None:
        """Send again what Stripe refused; what it refuses still waits for the next interval."""
        kept = [*book.refused_lines.items()]
        for begin in range(0, len(kept), CHUNK):
            some, now = kept[begin : begin + CHUNK], self._now()
            trying = [Change(meter_line_key(name), replace(one, tried=one.tried or now)) for name, one in some]
            await self._record(trying)
            sent = await self._send(book, [(one.line, one.tried) for _, one in some], position)
            changes = []
            for name, one in some:
                words = sent.refused.get(name)
                since = one.tried if name in sent.in_doubt else 0
                after = replace(one, state="refused" if words else "sent", error=words or one.error, tried=since)
                changes.append(Change(meter_line_key(name), after))
            metrics.METER_EVENTS.inc(len(some) - len(sent.refused))
            await self._record(changes)

    async def _send(self, book: Book, lines: Sequence[tuple[MeterLine, int]], position: MeterPosition) -> MeterSending:
        """Send lines, each once; with each, when Stripe may have taken it first, 0 if it has not. Raises StripeAway."""
        call, api = self._mode.call, self._api
        assert call is not None and api is not None
        await self._ids.catch_up()
        # of each interval its own: what was refused in an earlier one would be refused again under the same key
        attempt = (str(position.generation), str(position.as_of))
        sending = MeterSending(call, api, book, self._ids, self._record, attempt)
        since = self._now() - REMEMBERED
        doubtful = {identifier(line) for line, tried in lines if tried}
        forgotten = {identifier(line) for line, tried in lines if tried and tried < since}
        await sending.run([line for line, _ in lines], doubtful, forgotten)
        if sending.away is not None:
            raise sending.away
        return sending

    async def _end(self, position: MeterPosition, count: int) -> None:
        after = MeterPosition(position.first, position.as_of, begun=position.begun, generation=position.generation)
        await self._record([Change(METER_KEY, after)])
        self._interval = (0, 0, [])
        metrics.METER_UNTIL.set(position.as_of // 1000)
        log.info("usage_sent", as_of=iso(position.as_of), lines=count)

    async def _failed(self, before: MeterPosition, error: Exception) -> None:
        metrics.METER_FAILURES.inc()
        words = str(error)[:MAX_ERROR] or repr(error)
        now, attempts = self._now(), before.attempts + 1
        after = error.after if isinstance(error, StripeAway) else 0
        generation = before.generation + (isinstance(error, StripeAway) and error.decided)
        if words != before.error:
            log.warning(
                "usage_not_sent", since=iso(before.since), as_of=iso(before.as_of), error=words, tried_again=True
            )
        due = now + max(delay(attempts), after)
        tried = before.tried or (now if isinstance(error, StripeAway) else 0)
        failed = replace(before, attempts=attempts, due=due, generation=generation, tried=tried, error=words)
        await self._record([Change(METER_KEY, failed)])


def _written(directory: Path, position: MeterPosition, lines: Sequence[MeterLine], given: Mapping[str, str]) -> None:
    """Write the meter events of an interval to a file. ``given``: customers of Stripe that administrators gave."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"meter-{iso(position.as_of)[:13]}.jsonl"
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for line in lines:
            customer = given[line.customer_id] or CUSTOMER
            request = make_event(line, customer, position.as_of, str(position.generation), str(position.as_of))
            shown = {"method": request.method, "path": request.path, "idempotency_key": request.key}
            named = {"rev_customer_id": line.customer_id}
            file.write(msgspec.json.encode({**shown, "params": request.params, **named}) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
