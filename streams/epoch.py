"""The log's epoch: a random name written when the log is created (rev.config, key ``epoch``).

Everything that needs the epoch uses this module. It interprets nothing else in rev.config.
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
"""Seconds that one read of rev.config may take."""
AGAIN = 0.2
"""Seconds between reads of a log that has no epoch yet."""


def epoch_in(view: Mapping[bytes, bytes]) -> str | None:
    """Return the epoch from the contents of rev.config, or None."""
    value = view.get(EPOCH)
    return None if value is None else str(msgspec.json.decode(value)["epoch"])


async def known_epoch(kafka: str, topic: str = CONFIG, limit: float = LIMIT) -> str | None:
    """Return the log's epoch, or None if none is written yet. Raises Hung after ``limit`` seconds."""
    return epoch_in(await contents(kafka, topic, limit))


async def log_epoch(kafka: str, topic: str = CONFIG) -> str:
    """Return the log's epoch. Waits until it is written, however long the log is unreachable."""
    while True:
        try:
            found = await known_epoch(kafka, topic)
        except Hung as error:
            log.warning("epoch_not_read", topic=topic, error=str(error))
            found = None
        if found is not None:
            return found
        await asyncio.sleep(AGAIN)
