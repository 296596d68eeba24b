"""Protocols of what the gateway needs from streams: appends, replies and the feed of the view.

Tests implement them in memory (ingest.testing). This module opens and starts nothing.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from schemas.replies import Reply

Header = tuple[str, bytes]


class AppendedAt(Protocol):
    """The position of an acknowledged record and its append time in ms UTC."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...


class CommandAppender(Protocol):
    """An appender to rev.raw. Raises streams.errors.NotRecorded or AppendUnknown."""

    @property
    def ready(self) -> bool: ...

    async def append(
        self, key: bytes, value: bytes, headers: Sequence[Header] = (), partition: int | None = None
    ) -> AppendedAt: ...


class ReplyFuture(Protocol):
    """The number of a request that the pricer replies to, and the future of the reply."""

    @property
    def n(self) -> int: ...
    @property
    def header(self) -> Header: ...
    @property
    def future(self) -> "asyncio.Future[Reply]": ...


class ReplyPort(Protocol):
    """The receiver of replies to this gateway."""

    @property
    def ready(self) -> bool: ...
    @property
    def positions(self) -> dict[int, int]: ...

    def expect(self) -> ReplyFuture: ...

    def forget(self, n: int) -> None: ...


class Follower(Protocol):
    """The feeder of the view of rev.config."""

    def confirmed_age(self) -> float: ...

    async def reached(self, offset: int) -> None: ...

    async def caught_up(self) -> None:
        """Wait until the view holds everything that was committed before. Raises Hung or KafkaError."""
        ...
