"""The dependencies of one gateway's handlers: settings, access to the log, the view.

The context is made once, in ingest.service; tests make it from the fakes in ingest.testing. It
opens and starts nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ingest.collector_client import Collector
from ingest.command_log import CommandLog
from ingest.config_view import ConfigView
from ingest.disk_reserve import DiskReserve
from ingest.ports import CommandAppender, Follower, ReplyPort
from ingest.unpriced_actions import UnpricedActions
from schemas.secrets import RandomBytes, SecretBox
from schemas.settings import Settings
from warehouse.errors import ReadsUnavailable
from warehouse.queries import Reads


@dataclass(frozen=True)
class Context:
    """Everything that handlers use.

    ``clock`` returns ms UTC of this process; it decides no charge. ``token`` returns the hex text of
    that many random bytes, for the secrets of keys. ``random_bytes`` is for the secrets of webhooks,
    which ``box`` encrypts (None: webhooks are off). ``clickhouse`` reads the ledger, ``collector`` has the
    invoices; None without one.
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
    collector: Collector | None = None
    newcomers: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    """Customers that are being listed, so that only one request at a time lists each."""
    unpriced: UnpricedActions = field(default_factory=UnpricedActions)
    """The actions that came in without a price."""
    drawing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """PDFs are drawn one at a time, since each takes CPU from everything else."""

    def ledger(self) -> Reads:
        """Return the reader of the ledger. Raises ReadsUnavailable without one."""
        if self.clickhouse is None:
            raise ReadsUnavailable("no ledger is configured")
        return self.clickhouse
