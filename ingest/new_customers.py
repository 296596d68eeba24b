"""Admission of customers that only a platform's key names: listed before their first event, or refused.

A typo creates a new customer, so it must at least be visible: the customer is listed and is in the
audit trail, and the response warns of an older id that looks alike.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from ingest import metrics
from ingest.auth import PLATFORM, require_latest
from ingest.context import Context
from ingest.hints import near
from ingest.problems import Invalid, Problem
from schemas.commands import EnsureCustomer, encode
from schemas.config import ApiKey

_log = structlog.get_logger("ingest")


async def admit(context: Context, key: ApiKey, customer_id: str) -> list[str]:
    """Admit a customer before the first append for it, and return the warnings for the response.

    Raises Invalid if REV_UNKNOWN_CUSTOMERS=refuse and nobody made the customer.
    """
    if key.customer_id != PLATFORM:
        return []
    if customer_id not in context.view.customers:
        if context.settings.unknown_customers == "refuse":
            await _refuse(context, customer_id)
        else:
            await _make_known(context, key, customer_id)
    warnings = _warnings(context, customer_id)
    if warnings:
        metrics.LOOKALIKES.inc()
    return warnings


def warned(body: bytes, warnings: Sequence[str]) -> bytes:
    """Return a JSON object with ``warnings`` as its last field, if there are any."""
    return body[:-1] + b',"warnings":' + msgspec.json.encode(warnings) + b"}" if warnings else body


async def _refuse(context: Context, customer_id: str) -> None:
    await require_latest(context)
    if customer_id in context.view.customers:
        return
    alike = context.view.alike(customer_id) or near(customer_id, tuple(context.view.customers))
    suggestion = f"; did you mean {alike[0]!r}?" if alike else "."
    raise Invalid(f"customer_id {customer_id!r} does not exist{suggestion} Create an API key for a new customer first")


async def _make_known(context: Context, key: ApiKey, customer_id: str) -> None:
    """List the customer. If this fails, the event is metered anyway and the next event tries again."""
    pending = context.newcomers
    task = pending.get(customer_id)
    if task is None:
        command = encode(EnsureCustomer(customer_id, f"key {key.id}"))
        task = pending[customer_id] = asyncio.create_task(_send(context, command))
        task.add_done_callback(lambda _: pending.pop(customer_id, None))
    try:
        async with asyncio.timeout(context.settings.reply_timeout / 1000):
            await asyncio.shield(task)
    except (Problem, TimeoutError) as error:
        metrics.NOT_LISTED.inc()
        _log.warning("customer not listed yet", customer_id=customer_id, key=key.id, error=repr(error))


async def _send(context: Context, command: bytes) -> None:
    await context.submitter.configure(command, context.follower)


def _warnings(context: Context, customer_id: str) -> list[str]:
    """Return a warning for each older id that looks like this one, if nobody made the customer."""
    known = context.view.customers.get(customer_id)
    if known is not None and not known.metered:
        return []
    return [
        f"customer_id {customer_id!r} looks like the older {other!r}; ids are compared exactly"
        for other in context.view.alike(customer_id)
        if known is None or context.view.customers[other].created_at <= known.created_at
    ]
