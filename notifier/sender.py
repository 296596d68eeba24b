"""The seam between deciding what to deliver and putting it on the wire.

The core (queues, worker) sees only :class:`Sender`; signatures and HTTP are in
notifier/transport, the stand-in for tests in notifier/testing.py. Nothing of either may come in.
"""

from typing import NamedTuple, Protocol

ANSWER_BYTES = 1024
"""Of an answer's body that is kept."""
DEADLINE = 10.0
"""Seconds that one delivery may take, reading the answer's body included."""


class WebhookRequest(NamedTuple):
    """One request to one endpoint; every header is made from these."""

    url: str
    event_id: str
    """webhook-id, ``evt_…``; also the ``id`` of the body."""
    type: str
    """X-Rev-Event."""
    delivery_id: str
    """X-Rev-Delivery: the same on every retry and replay."""
    body: bytes
    """Signed and sent exactly as it stands."""
    secrets: tuple[str, ...]
    """In clear, ``whsec_…``: the current one, then the previous one for 24 h after a rotation."""
    timestamp_s: int
    """webhook-timestamp, Unix seconds, of this attempt."""

    def __repr__(self) -> str:
        """Without the secrets and the body: this may end up in a log."""
        return f"Delivery({self.event_id}, {self.type}, {self.delivery_id}, to {self.url!r})"


class WebhookResponse(NamedTuple):
    """What became of a request. ``status`` is None exactly when ``error`` says why there is none."""

    status: int | None
    error: str | None = None
    """A short reason without any secret: ``timeout``, ``refused address 10.0.0.1``, ``tls: …``."""
    retry_after_s: float | None = None
    """Of the answer's Retry-After, seconds or a date turned into seconds; not bounded yet."""
    body: bytes = b""
    """The first ANSWER_BYTES of the answer's body."""
    latency_ms: int = 0
    final: bool = False
    """The address can never be sent to (a forbidden port, a bad URL): do not try again."""
    ours: bool = False
    """It could not be sent for a lack of descriptors, ports or memory on this side: no try of the endpoint's."""


class WebhookSender(Protocol):
    async def send(self, delivery: WebhookRequest) -> WebhookResponse:
        """One attempt, within DEADLINE seconds altogether. Whatever the other side does is an
        Answer; it raises only when cancelled or when there is a bug of ours."""
        ...

    async def close(self) -> None: ...
