"""Webhook deliveries: the domain events, their ids, and the records of rev.deliveries.

Times are milliseconds UTC. Contains no secrets and does no I/O.
"""

import uuid
from typing import Literal

import msgspec

from schemas.limits import DAY

TYPES = (
    "meter.created",
    "meter.voided",
    "adjustment.created",
    "pricing.updated",
    "key.created",
    "key.revoked",
    "outcome.succeeded",
    "outcome.failed",
    "outcome.expired",
    "event.rejected",
    "budget.threshold",
    "budget.exceeded",
    "credit.granted",
    "credit.low",
    "credit.exhausted",
    "credit.expired",
    "reservation.expired",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "credit_note.created",
    "webhook.disabled",
    "webhook.test",
)
"""Every domain event that an endpoint can subscribe to, besides EVERY."""
EVERY = "*"
REPLAY = "webhook.replay"
"""Type of the config entry that makes the notifier deliver again.

Its ``detail`` is the command (schemas.commands.ReplayWebhook).
"""
KEPT = 36 * DAY
"""ms for which events and attempts are kept and can be replayed."""
_NAMESPACE = uuid.UUID("6f0f7b0e-3c0e-4f53-9a3c-6d1b1f0c7a52")
"""Rev's own namespace for UUIDs of version 5 (RFC 9562), drawn once at random."""

Outcome = Literal["delivered", "retry", "dead", "dropped"]
"""The result of an attempt.

``delivered``: answered with 2xx. ``retry``: to be tried again. ``dead``: given up after the last try or a
final refusal. ``dropped``: never sent, because the endpoint was deleted, disabled or paused.
"""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attempt at one delivery: a value of rev.deliveries, keyed by the endpoint's id.

    (``partition``, ``offset``, ``index``) is the entry's position in rev.entries.
    """

    webhook_id: int
    customer_id: str
    delivery_id: str
    event_id: str
    type: str
    partition: int
    offset: int
    index: int
    attempt: int
    """From 1; 0 for an attempt that was dropped without a try."""
    at: int
    outcome: Outcome
    latency: int = 0
    """ms until the response was read or the attempt was given up."""
    status: int | None = None
    """HTTP status; None if there was none."""
    error: str | None = None
    """The reason why there was no response, or why the delivery is dead or dropped."""
    answer: str = ""
    """The first bytes of the response body, as text."""
    next_at: int | None = None
    """Time of the next attempt."""
    replay: bool = False


class Gap(msgspec.Struct, frozen=True, gc=False):
    """A range of rev.entries that an endpoint was not sent, visible and open to replay.

    It is a value of rev.deliveries too. Events accepted in [since, until) ms may be missing.
    """

    webhook_id: int
    customer_id: str
    partition: int
    first: int
    last: int
    since: int
    until: int
    at: int
    reason: str
    gap: bool = True


def event_id(entry: int) -> str:
    """Return the webhook-id of the domain event of the entry with this event id."""
    return f"evt_{entry}"


def delivery_id(event: str, webhook_id: int) -> str:
    """Return X-Rev-Delivery: a UUID for (event, endpoint), the same on every retry and replay."""
    return str(uuid.uuid5(_NAMESPACE, f"{event}/{webhook_id}"))


encode = msgspec.json.Encoder().encode
decode_attempt = msgspec.json.Decoder(Attempt).decode
decode_gap = msgspec.json.Decoder(Gap).decode
