"""Webhook deliveries: the domain events, their ids, and what rev.deliveries keeps of every attempt.

Times are milliseconds UTC. No secret and no I/O may come in.
"""

import uuid
from typing import Literal

import msgspec

from schemas.limits import DAY

TYPES = (
    "meter.created",
    "meter.voided",
    "pricing.updated",
    "key.created",
    "key.revoked",
    "outcome.succeeded",
    "outcome.failed",
    "outcome.expired",
    "event.rejected",
    "webhook.disabled",
    "webhook.test",
)
"""Every domain event that an endpoint can subscribe to, beside EVERY."""
EVERY = "*"
REPLAY = "webhook.replay"
"""Type of the config entry that asks the notifier to deliver again; its ``detail`` is the command
(schemas.commands.ReplayWebhook)."""
KEPT = 36 * DAY
"""ms that events and attempts are kept, and can be replayed."""
_NAMESPACE = uuid.UUID("6f0f7b0e-3c0e-4f53-9a3c-6d1b1f0c7a52")
"""Of our own, drawn once at random; version 5 of RFC 9562 makes the rest."""

Outcome = Literal["delivered", "retry", "dead", "dropped"]
"""What became of an attempt: answered with 2xx; to be tried again; given up after the last try
or a final refusal; never sent, because the endpoint was deleted, disabled or paused."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attempt at one delivery: a value of rev.deliveries, keyed by the endpoint's id.

    (``partition``, ``offset``, ``index``) is the entry's place in rev.entries.
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
    """From 1; 0 of what was dropped without a try."""
    at: int
    outcome: Outcome
    latency: int = 0
    """ms until the answer was read or the attempt was given up."""
    status: int | None = None
    """HTTP status; None when there was none."""
    error: str | None = None
    """Why there was no answer, or why it is dead or dropped."""
    answer: str = ""
    """The first bytes of the answer's body, as text."""
    next_at: int | None = None
    """When it is tried again."""
    replay: bool = False


class Gap(msgspec.Struct, frozen=True, gc=False):
    """A range of rev.entries that an endpoint was not sent, visible and open to replay:
    a value of rev.deliveries too. Events accepted in [since, until) ms may be missing."""

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
    """The webhook-id of the domain event of the entry with this event id."""
    return f"evt_{entry}"


def delivery_id(event: str, webhook_id: int) -> str:
    """X-Rev-Delivery: a uuid for (event, endpoint), the same on every retry and replay."""
    return str(uuid.uuid5(_NAMESPACE, f"{event}/{webhook_id}"))


encode = msgspec.json.Encoder().encode
decode_attempt = msgspec.json.Decoder(Attempt).decode
decode_gap = msgspec.json.Decoder(Gap).decode
