"""Disabling an endpoint: a configuration command like any other, so that everybody sees it.

Asked for again and again until the view shows it; asked twice it changes nothing more.
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
"""Seconds until it is asked for again."""


class EndpointDisabler:
    """``appender``: to rev.raw."""

    def __init__(self, appender: Appender, clock: Clock) -> None:
        self._appender = appender
        self._clock = clock
        self._asked: dict[int, float] = {}

    async def disable(self, endpoint: Endpoint, why: str) -> None:
        """Returns when it was asked for, or could not be: then it is when it is called again."""
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
