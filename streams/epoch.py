"""Which log this is: its epoch, random and written when the log was made (rev.config, key ``epoch``).

Everyone who must know it asks here; what else rev.config means may not come in.
"""

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from schemas.config import EPOCH
from schemas.topics import CONFIG
from streams.errors import Hung
from streams.views import contents

log = structlog.get_logger("streams.epoch")

LIMIT = 15.0
"""Seconds that one reading of rev.config may take."""
AGAIN = 0.2
"""Seconds between two looks at a log that has no epoch yet."""


def epoch_in(view: Mapping[bytes, bytes]) -> str | None:
    """The epoch in the contents of rev.config, if it was written."""
    value = view.get(EPOCH)
    return None if value is None else str(msgspec.json.decode(value)["epoch"])


async def known_epoch(kafka: str, topic: str = CONFIG, limit: float = LIMIT) -> str | None:
    """The epoch of the log, None when none was written yet. Raises Hung after ``limit`` seconds."""
    return epoch_in(await contents(kafka, topic, limit))


async def log_epoch(kafka: str, topic: str = CONFIG) -> str:
    """The epoch of the log; waits until it has been written, however long the log is away."""
    while True:
        try:
            found = await known_epoch(kafka, topic)
        except Hung as error:
            log.warning("epoch_not_read", topic=topic, error=str(error))
            found = None
        if found is not None:
            return found
        await asyncio.sleep(AGAIN)
