"""What the handlers of one gateway are given: settings, the road to the log, what it knows.

Made once, in ingest.service; tests make it of the fakes in ingest.testing. Nothing is opened or
started here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.ports import Appender, Follower, Replies
from ingest.reads import Reads, ReadsUnavailable
from ingest.reserve import DiskReserve
from ingest.submitting import Submitter
from ingest.view import ConfigView
from schemas.secrets import Box, RandomBytes
from schemas.settings import Settings


@dataclass(frozen=True)
class Context:
    """Everything that handlers use. ``clock``: ms UTC, this process's own; it decides nothing
    that is charged. ``token``: hex text of that many random bytes, for the secrets of keys.
    ``random_bytes``: for the secrets of webhooks, which ``box`` encrypts (None: webhooks are off).
    ``clickhouse``: the ledger's reader, None without one.
    """

    settings: Settings
    appender: Appender
    replies: Replies
    view: ConfigView
    follower: Follower
    submitter: Submitter
    reserve: DiskReserve
    clock: Callable[[], int]
    token: Callable[[int], str]
    random_bytes: RandomBytes
    box: Box | None = None
    clickhouse: Reads | None = None
    newcomers: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    """Customers that are being listed, so that each is asked for once at a time."""

    def ledger(self) -> Reads:
        """The ledger's reader. Raises ReadsUnavailable without one."""
        if self.clickhouse is None:
            raise ReadsUnavailable("no ledger is configured")
        return self.clickhouse
