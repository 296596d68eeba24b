"""Disables an endpoint with an ordinary configuration command, so that every process sees it.

The command is repeated until the view shows its effect; repeats change nothing more.
"""

import structlog

from notifier import metrics
from notifier.endpoints import Endpoint
from schemas.commands import UpdateWebhook, encode
from schemas.topics import CONFIG_KEY
from streams.appends import Appender
from streams.clients import Clock
from streams.errors import StreamError

log = structlog.get_logger("notifier.disabling")
AGAIN = 5.0
"""Seconds until the command is repeated."""


class EndpointDisabler:
    """Sender of commands that disable endpoints. ``appender``: to rev.raw."""

    def __init__(self, appender: Appender, clock: Clock) -> None:
        self._appender = appender
        self._clock = clock
        self._asked: dict[int, float] = {}

    async def disable(self, endpoint: Endpoint, why: str) -> None:
        """Append the command that disables the endpoint. If the append fails, a later call tries again."""
        now = self._clock()
        if now - self._asked.get(endpoint.id, -AGAIN) < AGAIN:
            return
        self._asked[endpoint.id] = now
        hook = endpoint.webhook
        command = UpdateWebhook(hook.id, hook.customer_id, active=False, disabled=why, actor="notifier")
        try:
            await self._appender.append(CONFIG_KEY, encode(command))
        except StreamError as error:
            log.error("endpoint_not_disabled", webhook=hook.id, error=repr(error))
            return
        metrics.DISABLED.inc()
        log.warning("endpoint_disabled", webhook=hook.id, customer=hook.customer_id, why=why)
