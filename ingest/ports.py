"""What the gateway needs of streams, as protocols: the road to the log, the return address, the
view's feeder. Tests implement them in memory (ingest.testing). Nothing is opened or started here.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.replies import Reply

Header = tuple[str, bytes]


class AppendedAt(Protocol):
    """Where an acknowledged record stands; its append time in ms UTC."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...


class CommandAppender(Protocol):
    """Appends to rev.raw. Raises streams.errors.NotRecorded or Unknown."""

    @property
    def ready(self) -> bool: ...

    async def append(
        self, key: bytes, value: bytes, headers: Sequence[Header] = (), partition: int | None = None
    ) -> AppendedAt: ...


class ReplyFuture(Protocol):
    """A number that the pricer answers to, and where the answer will be."""

    @property
    def n(self) -> int: ...
    @property
    def header(self) -> Header: ...
    @property
    def future(self) -> "asyncio.Future[Reply]": ...


class ReplyPort(Protocol):
    """The gateway's return address."""

    @property
    def ready(self) -> bool: ...
    @property
    def positions(self) -> dict[int, int]: ...

    def expect(self) -> ReplyFuture: ...

    def forget(self, n: int) -> None: ...


class Follower(Protocol):
    """Feeds the view of rev.config."""

    def confirmed_age(self) -> float: ...

    async def reached(self, offset: int) -> None: ...

    async def caught_up(self) -> None:
        """Returns when the view holds everything that was committed before. Raises Hung or KafkaError."""
        ...
