"""Interface between deciding what to deliver and sending it.

The core (queues, worker) sees only :class:`Sender`. Signatures and HTTP are in notifier/transport, the fake
for tests in notifier/testing.py; neither belongs here.
"""

from typing import NamedTuple, Protocol

ANSWER_BYTES = 1024
"""Bytes of a response body that are kept."""
DEADLINE = 10.0
"""Seconds that one attempt may take, reading the response body included."""


class WebhookRequest(NamedTuple):
    """One request to one endpoint; all headers are made from these fields."""

    url: str
    event_id: str
    """webhook-id, ``evt_…``; also the ``id`` of the body."""
    type: str
    """X-Rev-Event."""
    delivery_id: str
    """X-Rev-Delivery: the same on every retry and replay."""
    body: bytes
    """Signed and sent unchanged."""
    secrets: tuple[str, ...]
    """In clear, ``whsec_…``: the current one, then the previous one for 24 h after a rotation."""
    timestamp_s: int
    """webhook-timestamp of this attempt, Unix seconds."""

    def __repr__(self) -> str:
        """Return a representation without the secrets and the body, safe for logs."""
        return f"Delivery({self.event_id}, {self.type}, {self.delivery_id}, to {self.url!r})"


class WebhookResponse(NamedTuple):
    """Result of a request. ``status`` is None exactly when ``error`` gives the reason."""

    status: int | None
    error: str | None = None
    """Short reason without any secret: ``timeout``, ``refused address 10.0.0.1``, ``tls: …``."""
    retry_after_s: float | None = None
    """Retry-After of the response in seconds, converted if it was a date; not bounded yet."""
    body: bytes = b""
    """First ANSWER_BYTES of the response body."""
    latency_ms: int = 0
    final: bool = False
    """True if the address can never be sent to (a forbidden port, a bad URL): do not retry."""
    ours: bool = False
    """True if this side lacked descriptors, ports or memory: it does not count as an attempt."""


class WebhookSender(Protocol):
    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        """Make one attempt, within DEADLINE seconds in total. Whatever the endpoint does is returned as a
        WebhookResponse; raises only on cancellation or because of a bug on this side."""
        ...

    async def close(self) -> None: ...
