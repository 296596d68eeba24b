"""What the handlers of one gateway are given: settings, the road to the log, what it knows.

Made once, in ingest.service; tests make it of the fakes in ingest.testing. Nothing is opened or
started here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.command_log import CommandLog
from ingest.config_view import ConfigView
from ingest.disk_reserve import DiskReserve
from ingest.ports import CommandAppender, Follower, ReplyPort
from schemas.secrets import RandomBytes, SecretBox
from schemas.settings import Settings
from warehouse.errors import ReadsUnavailable
from warehouse.queries import Reads


@dataclass(frozen=True)
class Context:
    """Everything that handlers use. ``clock``: ms UTC, this process's own; it decides nothing
    that is charged. ``token``: hex text of that many random bytes, for the secrets of keys.
    ``random_bytes``: for the secrets of webhooks, which ``box`` encrypts (None: webhooks are off).
    ``clickhouse``: the ledger's reader, None without one.
    """

    settings: Settings
    appender: CommandAppender
    replies: ReplyPort
    view: ConfigView
    follower: Follower
    submitter: CommandLog
    reserve: DiskReserve
    clock: Callable[[], int]
    token: Callable[[int], str]
    random_bytes: RandomBytes
    box: SecretBox | None = None
    clickhouse: Reads | None = None
    newcomers: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    """Customers that are being listed, so that each is asked for once at a time."""

    def ledger(self) -> Reads:
        """The ledger's reader. Raises ReadsUnavailable without one."""
        if self.clickhouse is None:
            raise ReadsUnavailable("no ledger is configured")
        return self.clickhouse
