"""A check that this is the log the ledger was written from, by comparing the log's epoch with the table's.

The epoch is random, created with the log (rev.config, key ``epoch``) and stored in rev._log when the ledger is started.
A ledger that was written from another log must not be written to.
"""

from collections.abc import Awaitable, Callable

from ledger.errors import SourceStalled, WrongLog
from schemas.topics import CONFIG
from streams.epoch import known_epoch
from streams.errors import Hung
from warehouse.client import ClickHouse


async def epoch_of_log(kafka: str, topic: str = CONFIG) -> str | None:
    """Return the epoch in rev.config, or None if none is written yet. Raises SourceStalled."""
    try:
        return await known_epoch(kafka, topic)
    except Hung as error:
        raise SourceStalled(f"Kafka: {error!r}") from error


async def check(clickhouse: ClickHouse, read_epoch: Callable[[], Awaitable[str | None]]) -> str:
    """Check that the epochs match and return the epoch; store it if the ledger is empty.

    Raises WrongLog if they differ, SourceStalled while the log has no epoch yet.
    """
    log = await read_epoch()
    if log is None:
        raise SourceStalled("rev.config has no epoch yet; run `rev init`")
    stored = [epoch for (epoch,) in await clickhouse.execute("SELECT DISTINCT epoch FROM rev._log")]
    if not stored:
        rows = (await clickhouse.execute("SELECT count() FROM rev.entries"))[0][0]
        if rows != "0":
            raise WrongLog(f"the ledger has {rows} rows but does not name its log; the epoch of this log is {log}")
        await clickhouse.insert(f"INSERT INTO rev._log (epoch) VALUES ('{_plain(log)}')")
        return log
    if stored != [log]:
        raise WrongLog(f"the ledger was written from log {', '.join(stored)}, this is log {log}")
    return log


def _plain(epoch: str) -> str:
    if not epoch.isalnum():
        raise WrongLog(f"{epoch!r} is not an epoch; it must be alphanumeric")
    return epoch
