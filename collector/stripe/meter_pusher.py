"""Brings usage to Stripe's meters, hour by hour, and records how far it is.

An interval is what was accepted between two full hours. The ledger gives the same lines for it at any time, in the same
order, each with an identifier of its own; so what was cut off is sent again, and Stripe counts it once. Late events and
voids are lines of a later interval: Stripe adds them to the hour that they are of. An attempt is recorded before it
begins: after a day Stripe forgets identifiers, and then the meter itself is asked whether it has a line.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from collector import metrics
from collector.book import Book, Change
from collector.invoicing import DEFAULT
from collector.settling import SETTLING
from collector.stripe import requests
from collector.stripe.meter_lines import event_name, find_hours, find_meters, identifier, lines_of, make_event, rules_of
from collector.stripe.pusher import MAX_ERROR, delay
from collector.stripe.pushing import Call, StripeAway, StripeRefuses, listed
from schemas.invoices import METER_KEY, meter_line_key, stripe_customer_key
from schemas.limits import HOUR
from schemas.meters import MeterLine, MeterPosition, MeterRule, RefusedMeterLine
from schemas.months import month_around
from schemas.objects import iso
from schemas.pushes import StripeCustomer
from warehouse.errors import ReadsUnavailable
from warehouse.meter_totals import MeterReads
from warehouse.time_range import LAST

CHUNK, TOGETHER = 200, 8
"""Lines between two records of what is sent, and requests at a time."""
REMEMBERED = 20 * HOUR
"""ms within which Stripe knows an identifier for certain; it does so for 24 h."""
CUSTOMER = "{customer}"
"""What stands in files where Stripe's id would."""
log = structlog.get_logger("collector.stripe")


class MeterMode(NamedTuple):
    """``rules``: what is counted. ``first``: ms; usage from before is not sent; 0: the start of its first month.

    ``call`` sends a request; None: intervals are written to ``directory``.
    """

    rules: tuple[MeterRule, ...]
    first: int
    call: Call | None
    directory: Path


class _Outcome(NamedTuple):
    """What became of some lines; ``customers``: those that were found or made in Stripe."""

    refused: dict[str, str]
    customers: dict[str, StripeCustomer]
    away: StripeAway | None


class MeterPusher:
    """The usage of one owner. ``record`` commits changes and applies them to the book; ``now`` returns ms UTC."""

    def __init__(
        self,
        mode: MeterMode,
        reads: MeterReads,
        record: Callable[[Sequence[Change]], Awaitable[None]],
        now: Callable[[], int],
    ) -> None:
        self._mode = mode
        self._reads = reads
        self._record = record
        self._now = now
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
        except (StripeAway, StripeRefuses, ReadsUnavailable, OSError) as error:
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
            await asyncio.to_thread(_written, self._mode.directory, position, lines)
            await self._end(position, len(lines))
        elif chunk:
            await self._send_chunk(book, position, chunk)
        else:
            await self._send_refused(book)
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
        now, attempts = self._now(), position.attempts + 1
        tried = position.tried or now
        position = replace(position, tried=tried, attempts=attempts, due=now + delay(attempts))
        await self._record([Change(METER_KEY, position)])
        forgotten = now - tried > REMEMBERED
        sent = await self._send(book, chunk, position.generation, forgotten)
        changes = [Change(stripe_customer_key(name), one) for name, one in sent.customers.items()]
        if sent.away is not None:
            await self._record(changes)
            raise sent.away
        for line in chunk:
            if words := sent.refused.get(identifier(line)):
                log.error(
                    "meter_event_refused", customer=line.customer_id, meter=line.rule, hour=iso(line.hour), error=words
                )
                changes.append(Change(meter_line_key(identifier(line)), RefusedMeterLine(line, words)))
        metrics.METER_EVENTS.inc(len(chunk) - len(sent.refused))
        done = position.done + len(chunk)
        after = replace(position, done=done, tried=0, attempts=0, due=0, error="")
        await self._record([*changes, Change(METER_KEY, after)])

    async def _send_refused(self, book: Book) -> None:
        """Send again what Stripe refused; what it refuses still waits for the next interval."""
        kept = [*book.refused_lines.items()]
        for begin in range(0, len(kept), CHUNK):
            some, now = kept[begin : begin + CHUNK], self._now()
            forgotten = any(one.tried and now - one.tried > REMEMBERED for _, one in some)
            trying = [Change(meter_line_key(name), replace(one, tried=one.tried or now)) for name, one in some]
            await self._record(trying)
            generation = 0 if book.meter is None else book.meter.generation
            sent = await self._send(book, [one.line for _, one in some], generation, forgotten)
            changes = [Change(stripe_customer_key(name), one) for name, one in sent.customers.items()]
            if sent.away is not None:
                await self._record(changes)
                raise sent.away
            for name, one in some:
                words = sent.refused.get(name)
                after = replace(one, state="refused" if words else "sent", error=words or one.error, tried=0)
                changes.append(Change(meter_line_key(name), after))
            metrics.METER_EVENTS.inc(len(some) - len(sent.refused))
            await self._record(changes)

    async def _send(self, book: Book, lines: Sequence[MeterLine], generation: int, forgotten: bool) -> _Outcome:
        """Send lines, each once. ``forgotten``: Stripe may have one and not know its identifier any more."""
        call = self._mode.call
        assert call is not None
        slots = asyncio.Semaphore(TOGETHER)
        refused: dict[str, str] = {}
        away: list[StripeAway] = []
        customers: dict[str, StripeCustomer] = {}
        no_customer: dict[str, str] = {}
        meters = await _meters(call) if forgotten else {}

        async def ensure(name: str) -> None:
            async with slots:
                if away:
                    return
                try:
                    customers[name] = await _customer(call, book, name, generation)
                except StripeRefuses as error:
                    no_customer[name] = str(error)
                    away.extend([StripeAway(str(error))] if error.denied else [])
                except StripeAway as error:
                    away.append(error)

        async def send(line: MeterLine) -> None:
            async with slots:
                if away:
                    return
                try:
                    known = customers[line.customer_id].id
                    if forgotten and await _is_there(call, meters, line, known, book):
                        return
                    await call(make_event(line, known, self._now(), generation))
                except StripeRefuses as error:
                    if error.denied:
                        away.append(StripeAway(str(error)))
                    elif not error.duplicate:
                        refused[identifier(line)] = str(error)[:MAX_ERROR]
                except StripeAway as error:
                    away.append(error)

        await asyncio.gather(*(ensure(name) for name in sorted({line.customer_id for line in lines})))
        for line in lines:
            if line.customer_id in no_customer:
                refused[identifier(line)] = no_customer[line.customer_id][:MAX_ERROR]
        if not away:
            await asyncio.gather(*(send(line) for line in lines if line.customer_id in customers))
        new = {name: one for name, one in customers.items() if book.stripe_customers.get(name) != one}
        return _Outcome(refused, new, max(away, key=lambda one: (one.after, one.decided), default=None))

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


async def _customer(call: Call, book: Book, name: str, generation: int) -> StripeCustomer:
    """Return who a customer is in Stripe; one with our id in its metadata, or a new one."""
    known = book.stripe_customers.get(name)
    if known is not None:
        return known
    bill_to = book.billing.get(name, DEFAULT).bill_to
    found = (await call(requests.find_customer(name)))["data"]
    if not found:
        found = [await call(requests.make_customer(name, bill_to, generation))]
    return StripeCustomer(str(found[0]["id"]), bill_to)


async def _meters(call: Call) -> dict[str, str]:
    """Return the ids of Stripe's active meters by event name."""
    return {str(one["event_name"]): str(one["id"]) async for one in listed(call, find_meters())}


async def _is_there(call: Call, meters: dict[str, str], line: MeterLine, customer: str, book: Book) -> bool:
    """Return whether Stripe's meter has a line. Raises StripeRefuses if it has something else."""
    meter = meters.get(event_name(line))
    if meter is None:
        return False
    hours = [one async for one in listed(call, find_hours(meter, customer, line.hour, line.hour + HOUR))]
    there = sum(round(one["aggregated_value"]) for one in hours)
    owed = sum(
        one.line.value
        for one in book.refused_lines.values()
        if (one.line.customer_id, one.line.hour, one.line.rule) == (line.customer_id, line.hour, line.rule)
        and one.line.as_of < line.as_of
    )
    if there == line.before - owed + line.value:
        return True
    if there == line.before - owed:
        return False
    raise StripeRefuses(f"the meter has {there} for the hour, not {line.before - owed}; set it right in Stripe by hand")


def _written(directory: Path, position: MeterPosition, lines: Sequence[MeterLine]) -> None:
    """Write the meter events of an interval to a file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"meter-{iso(position.as_of)[:13]}.jsonl"
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        for line in lines:
            request = make_event(line, CUSTOMER, position.as_of, position.generation)
            shown = {"method": request.method, "path": request.path, "idempotency_key": request.key}
            named = {"rev_customer_id": line.customer_id}
            file.write(msgspec.json.encode({**shown, "params": request.params, **named}) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
