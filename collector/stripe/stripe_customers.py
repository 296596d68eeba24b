"""Which customer of Stripe a customer of Rev is: the one that an administrator gave, else Rev's own.

What is given is ``external_ids.stripe`` of the customer. Rev follows it in rev.config, and keeps in memory only those.
"""

import asyncio
from typing import Protocol

import msgspec
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from collector.stripe import requests
from collector.stripe.calls import Call, StripeRefuses
from schemas.billing import BillTo
from schemas.pushes import StripeCustomer
from schemas.topics import CONFIG
from streams.errors import Hung
from streams.views import CompactedView

PREFIX = b"customer/"
SYSTEM = "stripe"
"""The name of Stripe among a customer's external ids."""


class IdsUnknown(Exception):
    """What administrators have set cannot be read now; it passes."""


class GivenIds(Protocol):
    """The customers of Stripe that administrators gave."""

    def get(self, name: str) -> str:
        """Return the id that was given to a customer; empty if none was."""
        ...

    async def catch_up(self) -> None:
        """Wait until everything is known that was set before the call. Raises IdsUnknown."""
        ...


class _Customer(msgspec.Struct, frozen=True):
    """What is read of schemas.config.Customer."""

    external_ids: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Customer).decode


class ConfiguredIds:
    """:class:`GivenIds` as rev.config has them."""

    def __init__(self, kafka: str) -> None:
        self._held: dict[str, str] = {}
        self._view = CompactedView(kafka, CONFIG, self.apply)
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read; :meth:`catch_up` says when it is done."""
        self._starting = asyncio.create_task(self._view.start(), name="customer-ids")

    async def stop(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
            await self._view.stop()

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Apply one record of rev.config."""
        if key.startswith(PREFIX):
            name = key.removeprefix(PREFIX).decode()
            given = "" if value is None else _decode(value).external_ids.get(SYSTEM, "")
            if given:
                self._held[name] = given
            else:
                self._held.pop(name, None)

    def get(self, name: str) -> str:
        return self._held.get(name, "")

    async def catch_up(self) -> None:
        if self._starting is not None:
            await asyncio.shield(self._starting)
        try:
            await self._view.caught_up()
        except (Hung, KafkaError) as error:
            raise IdsUnknown(f"the customers' ids in Stripe cannot be read from rev.config: {error}") from error


async def taken_up(call: Call, name: str, given: str, known: StripeCustomer | None) -> StripeCustomer:
    """Return who a customer is in Stripe from now on, after a look whether Stripe has it.

    Raises StripeAway or StripeRefuses. What it was before is kept: some of its invoices and usage are there.
    """
    try:
        is_there = not (await call(requests.read_customer(given))).get("deleted")
    except StripeRefuses as error:
        if not error.missing:
            raise
        is_there = False
    if not is_there:
        raise StripeRefuses(f"Stripe has no customer {given!r}; set external_ids.stripe of customer {name!r} right")
    before = known or StripeCustomer("", BillTo())
    return replace(before, given=(*(id for id in before.given if id != given), given))


def is_taken_up(known: StripeCustomer | None, given: str) -> bool:
    """Return whether a customer is recorded as the one of Stripe that was given."""
    return known is not None and known.given[-1:] == (given,)


def with_own(known: StripeCustomer | None, id: str, bill_to: BillTo) -> StripeCustomer:
    """Return who a customer is in Stripe, with a customer that is Rev's own."""
    return StripeCustomer(id, bill_to) if known is None else replace(known, id=id, bill_to=bill_to)
