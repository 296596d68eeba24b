"""What the handlers of one gateway are given: settings, the road to the log, what it knows.

Made once, in ingest.app; tests make it of the fakes in ingest.testing. The protocols here
say what the handlers need of streams; nothing is opened or started here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ingest.view import ConfigView
from schemas.replies import Reply
from schemas.settings import Settings

if TYPE_CHECKING:
    from ingest.reads import Reads
    from ingest.reserve import DiskReserve
    from ingest.submitting import Submitter

Header = tuple[str, bytes]


class Appended(Protocol):
    """Where an acknowledged record stands; its append time in ms UTC."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp_ms(self) -> int: ...


class Appender(Protocol):
    """Appends to rev.raw. Raises streams.errors.NotRecorded or Unknown."""

    @property
    def ready(self) -> bool: ...

    async def append(
        self, key: bytes, value: bytes, headers: Sequence[Header] = (), partition: int | None = None
    ) -> Appended: ...


class Expectation(Protocol):
    """A number that the pricer answers to, and where the answer will be."""

    @property
    def n(self) -> int: ...
    @property
    def header(self) -> Header: ...
    @property
    def future(self) -> "asyncio.Future[Reply]": ...


class Replies(Protocol):
    """The gateway's return address."""

    @property
    def ready(self) -> bool: ...
    @property
    def positions(self) -> dict[int, int]: ...

    def expect(self) -> Expectation: ...

    def forget(self, n: int) -> None: ...


class Follower(Protocol):
    """Feeds the view of rev.config."""

    def confirmed_age(self) -> float: ...

    async def reached(self, offset: int) -> None: ...


@dataclass(frozen=True)
class Context:
    """Everything that handlers use. ``clock``: ms UTC, this process's own; it decides nothing
    that is charged. ``token``: hex text of that many random bytes, for the secrets of keys.
    ``clickhouse``: the ledger's reader, None without one.
    """

    settings: Settings
    appender: Appender
    replies: Replies
    view: ConfigView
    follower: Follower
    submitter: "Submitter"
    reserve: "DiskReserve"
    clock: Callable[[], int]
    token: Callable[[int], str]
    clickhouse: "Reads | None" = None
