"""Sends some lines of usage to Stripe once, and says what became of each."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence, Set
from typing import Any

from collector.book import Book, Change
from collector.stripe.calls import MAX_ERROR, Call, StripeAway, StripeRefuses, listed
from collector.stripe.meter_apis import AddressedLine, MeterApi
from collector.stripe.meter_customers import MeterCustomers
from collector.stripe.meter_lines import event_name, find_hours, find_meters, identifier
from collector.stripe.stripe_customers import GivenIds
from schemas.invoices import stripe_customer_key
from schemas.limits import HOUR
from schemas.meters import MeterLine

TOGETHER = 8
"""Requests at a time."""
Record = Callable[[Sequence[Change]], Awaitable[None]]


class MeterSending:
    """An attempt. ``attempt``: a part of the idempotency keys. ``record`` commits changes.

    Afterwards: ``refused``: why, by identifier; of those ``in_doubt``, Stripe may have some. ``away``: why it ended
    early; then it is not known which lines were taken.
    """

    def __init__(
        self, call: Call, api: MeterApi, book: Book, ids: GivenIds, record: Record, attempt: tuple[str, ...]
    ) -> None:
        self.refused: dict[str, str] = {}
        self.in_doubt: set[str] = set()
        self.away: StripeAway | None = None
        self._call = call
        self._api = api
        self._book = book
        self._record = record
        self._attempt = attempt
        self._customers = MeterCustomers(call, book, ids, attempt)
        self._slots = asyncio.Semaphore(TOGETHER)

    async def run(self, lines: Sequence[MeterLine], doubtful: Set[str], forgotten: Set[str]) -> None:
        """Send lines, each once. Raises what ``record`` raises.

        By identifier, ``doubtful``: those that an earlier attempt may have brought there; ``forgotten``: so long ago
        that Stripe may not know the identifier any more, so that its meter is asked.
        """
        names = sorted({line.customer_id for line in lines})
        await asyncio.gather(*(self._ensure(name, lines, doubtful) for name in names))
        if self._customers.new:
            # before anything is sent there, so that it is known where usage is to be looked for
            new = self._customers.new.items()
            await self._record([Change(stripe_customer_key(name), one) for name, one in new])
        events = [
            AddressedLine(line, self._customers.ids[line.customer_id])
            for line in lines
            if line.customer_id in self._customers.ids
        ]
        if forgotten:
            asked = [event for event in events if identifier(event.line) in forgotten]
            others = [event for event in events if identifier(event.line) not in forgotten]
            events = others + await self._missing(asked)
        most = self._api.most
        await asyncio.gather(*(self._send(events[at : at + most]) for at in range(0, len(events), most)))

    async def _ensure(self, name: str, lines: Sequence[MeterLine], doubtful: Set[str]) -> None:
        error = await self._asked(self._customers.ensure(name))
        if error is not None:
            for line in lines:
                if line.customer_id == name:
                    self._refuse(line, error, identifier(line) in doubtful)

    async def _missing(self, events: Sequence[AddressedLine]) -> list[AddressedLine]:
        """Return what Stripe's meters do not have."""
        if self.away is not None:
            return []
        meters = {str(one["event_name"]): str(one["id"]) async for one in listed(self._call, find_meters())}
        missing: list[AddressedLine] = []

        async def look(event: AddressedLine) -> None:
            if not await self._is_there(event.line, meters.get(event_name(event.line))):
                missing.append(event)

        async def look_or_refuse(event: AddressedLine) -> None:
            error = await self._asked(look(event))
            if error is not None:
                self._refuse(event.line, error, error.in_doubt)

        await asyncio.gather(*(look_or_refuse(event) for event in events))
        return missing

    async def _is_there(self, line: MeterLine, meter: str | None) -> bool:
        """Return whether a meter has a line. Raises StripeAway, or StripeRefuses if it has something else."""
        if meter is None:
            return False
        there = 0
        for id in self._book.stripe_customers[line.customer_id].ids:
            others = [name for name in self._book.by_stripe_id[id] if name != line.customer_id]
            if others:
                words = f"whether the meter has it is not known: customer {id!r} in Stripe is or was {others[0]!r}, too"
                raise StripeRefuses(words, in_doubt=True)
            async for one in listed(self._call, find_hours(meter, id, line.hour, line.hour + HOUR)):
                there += round(one["aggregated_value"])
        owed = sum(
            one.line.value
            for one in self._book.refused_lines.values()
            if (one.line.customer_id, one.line.hour, one.line.rule) == (line.customer_id, line.hour, line.rule)
            and one.line.as_of < line.as_of
        )
        if there == line.before - owed + line.value:
            return True
        if there == line.before - owed:
            return False
        words = f"the meter has {there} for the hour, not {line.before - owed}; set it right in Stripe by hand"
        raise StripeRefuses(words, in_doubt=True)

    async def _send(self, events: Sequence[AddressedLine]) -> None:
        """Send events in one request; if Stripe refuses several, in smaller ones, until it is known which."""
        error = await self._asked(self._api.send(events, self._attempt))
        if error is not None and len(events) > 1:
            half = len(events) // 2
            await self._send(events[:half])
            await self._send(events[half:])
        elif error is not None and not error.duplicate:
            self._refuse(events[0].line, error, False)

    async def _asked(self, asking: Coroutine[Any, Any, None]) -> StripeRefuses | None:
        """Ask Stripe, unless it is away, and return what it refuses. A wrong key refuses everything: that passes."""
        async with self._slots:
            if self.away is not None:
                asking.close()
                return None
            try:
                await asking
            except StripeAway as error:
                self._note(error)
            except StripeRefuses as error:
                if not error.denied:
                    return error
                self._note(StripeAway(str(error)))
        return None

    def _note(self, error: StripeAway) -> None:
        before = self.away
        if before is None or (error.after, error.decided) > (before.after, before.decided):
            self.away = error

    def _refuse(self, line: MeterLine, error: StripeRefuses, in_doubt: bool) -> None:
        self.refused[identifier(line)] = str(error)[:MAX_ERROR]
        if in_doubt:
            self.in_doubt.add(identifier(line))
