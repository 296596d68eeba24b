"""Endpoints as recorded in rev.config, with change notifications for listeners. No I/O.

streams.views.CompactedView feeds it. Secrets stay encrypted here.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from notifier.events import DomainEvent
from schemas.config import EPOCH, Webhook
from schemas.deliveries import EVERY

PREFIX = b"webhook/"
_decode = msgspec.json.Decoder(Webhook).decode
_epoch = msgspec.json.Decoder(dict[str, str]).decode


class Endpoint(NamedTuple):
    """Endpoint as configured. ``offset``: of its record in rev.config; ``changed_at``: time of that record, ms UTC."""

    webhook: Webhook
    offset: int
    changed_at: int

    @property
    def id(self) -> int:
        return self.webhook.id

    def wants(self, event: DomainEvent) -> bool:
        """True if the event matches the endpoint's owner and subscription."""
        hook = self.webhook
        if event.only is not None:
            return event.only == hook.id and event.owner == hook.customer_id
        return self.owns(event) and (event.type in hook.events or EVERY in hook.events)

    def owns(self, event: DomainEvent) -> bool:
        """True if the event belongs to the endpoint's customer and mode."""
        hook = self.webhook
        return (
            event.only in (None, hook.id)
            and event.owner in (None, hook.customer_id)
            and event.test in (None, hook.test)
        )


Changed = Callable[[int, Endpoint | None, Endpoint | None, int], None]
"""Id, previous value, new value, current time in ms UTC."""


class Endpoints:
    """All endpoints. ``epoch``: of the log, once read; ``newest``: highest id ever seen."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.next = 0
        self.newest = 0
        self._all: dict[int, Endpoint] = {}
        self._of: dict[bytes, dict[int, Endpoint]] = {}
        self._listeners: list[Changed] = []

    def listen(self, listener: Changed) -> Callable[[], None]:
        """Call ``listener`` at every change from now on. Return a function that stops it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def apply(self, key: bytes, value: bytes | None, offset: int, at: int, now: int) -> None:
        """Apply one record of rev.config; ``at``: its time, ms UTC. A record applied before changes nothing."""
        if offset < self.next:
            return
        self.next = offset + 1
        if key == EPOCH and value is not None:
            self.epoch = _epoch(value)["epoch"]
        if not key.startswith(PREFIX):
            return
        id = int(key[len(PREFIX) :])
        before = self._all.get(id)
        after = None if value is None else Endpoint(_decode(value), offset, at)
        self.newest = max(self.newest, id)
        self._forget(before)
        if after is not None:
            self._all[id] = after
            self._of.setdefault(after.webhook.customer_id.encode(), {})[id] = after
        for listener in list(self._listeners):
            listener(id, before, after, now)

    def get(self, id: int) -> Endpoint | None:
        return self._all.get(id)

    def active(self, id: int) -> Endpoint | None:
        """Return the endpoint if it is active."""
        found = self._all.get(id)
        return found if found is not None and found.webhook.active else None

    def has(self, customer: bytes) -> bool:
        """True if the customer has any endpoint."""
        return customer in self._of

    def all(self) -> list[Endpoint]:
        return list(self._all.values())

    def wanting(self, event: DomainEvent) -> Iterator[Endpoint]:
        """Yield the active endpoints that want the event."""
        some = self._all if event.owner is None else self._of.get(event.owner.encode(), {})
        for endpoint in some.values():
            if endpoint.webhook.active and endpoint.wants(event):
                yield endpoint

    def missing(self, event: DomainEvent) -> Iterator[Endpoint]:
        """Yield the inactive endpoints that wanted the event: they were active when it was accepted."""
        some = self._all if event.owner is None else self._of.get(event.owner.encode(), {})
        for endpoint in some.values():
            if not endpoint.webhook.active and event.at < endpoint.changed_at and endpoint.wants(event):
                yield endpoint

    def _forget(self, endpoint: Endpoint | None) -> None:
        if endpoint is None:
            return
        customer = endpoint.webhook.customer_id.encode()
        del self._all[endpoint.id]
        del self._of[customer][endpoint.id]
        if not self._of[customer]:
            del self._of[customer]
