"""The two ways of meter events to Stripe: one in a request, or up to 100 over the stream.

The stream needs a session: https://docs.stripe.com/api/v2/meter-event-streams. It checks events after it has answered,
and reports what it drops to the webhook. Both count an identifier once a day.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from collector.stripe.calls import Call, StripeRefuses
from collector.stripe.meter_lines import make_event, make_events, make_session
from schemas.limits import MINUTE
from schemas.meters import MeterLine

BATCH = 100
"""Events that Stripe takes in a request of the stream."""
LIFE = 14 * MINUTE
"""ms that a session is used. Stripe ends it after 15 minutes; this is measured from before it was asked for."""


class AddressedLine(NamedTuple):
    """A line for a customer, by its id in Stripe."""

    line: MeterLine
    customer: str


class MeterApi(Protocol):
    """``most``: events in a request."""

    most: int

    async def send(self, events: Sequence[AddressedLine], attempt: tuple[str, ...]) -> None:
        """Send events, each once. ``attempt``: a part of the idempotency key. Raises StripeAway or StripeRefuses."""
        ...


class SingleEvents:
    """Stripe's API v1. ``now`` returns ms UTC."""

    most = 1

    def __init__(self, call: Call, now: Callable[[], int]) -> None:
        self._call = call
        self._now = now

    async def send(self, events: Sequence[AddressedLine], attempt: tuple[str, ...]) -> None:
        for line, customer in events:
            await self._call(make_event(line, customer, self._now(), *attempt))


class EventStream:
    """Stripe's meter event stream, with the session that it needs. ``now`` returns ms UTC."""

    most = BATCH

    def __init__(self, call: Call, now: Callable[[], int]) -> None:
        self._call = call
        self._now = now
        self._token = ""
        self._until = 0
        self._asking = asyncio.Lock()

    async def send(self, events: Sequence[AddressedLine], attempt: tuple[str, ...]) -> None:
        token = await self._session()
        try:
            await self._call(make_events(events, token, self._now(), *attempt))
        except StripeRefuses as error:
            if not error.denied:
                raise
            # Stripe may end a session early; a new one is denied for another reason
            if self._token == token:
                self._token = ""
            await self._call(make_events(events, await self._session(), self._now(), *attempt))

    async def _session(self) -> str:
        """Return the token of a session that has not ended."""
        async with self._asking:
            now = self._now()
            if not self._token or now >= self._until:
                made = await self._call(make_session(now))
                self._token, self._until = str(made["authentication_token"]), now + LIFE
            return self._token
