"""A pricer as a child process and a gateway's part in front of it, for the pricer's tests on a real broker."""

import asyncio
import os
import signal
import subprocess
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.children import spawn
from schemas import commands, entries
from schemas.commands import Command
from schemas.replies import Reply
from schemas.settings import Settings
from schemas.topics import CONFIG, ENTRIES, partition_of
from streams.appends import Appender
from streams.reply_receiver import ReplyReceiver
from streams.views import CompactedView

PARTITIONS = 2
LIMIT = 60.0


def start(settings: Settings, partitions: int = PARTITIONS, ordinal: int = 0) -> subprocess.Popen[bytes]:
    """A pricer as a child process, logging into the data directory."""
    env = {
        "REV_KAFKA": settings.kafka,
        "REV_DATA": str(settings.data),
        "REV_PARTITIONS": str(partitions),
        "REV_ORDINAL": str(ordinal),
    }
    with (settings.data / f"pricer-{ordinal}.log").open("ab") as errors:
        return spawn([sys.executable, "-m", "tools.cli", "pricer"], env={**os.environ, **env}, stderr=errors)


def end(process: subprocess.Popen[bytes]) -> int:
    """Stop a pricer as a supervisor does; its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(LIMIT)


class Gateway:
    """What a gateway does with the log: append with a return address, wait for the answer."""

    def __init__(self, settings: Settings) -> None:
        self.appender = Appender(settings.kafka, append_timeout=5000)
        self.replies = ReplyReceiver(settings.kafka)
        self.view: dict[bytes, bytes] = {}
        self.follower = CompactedView(settings.kafka, CONFIG, self._apply)

    def _apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        if value is not None:
            self.view[key] = value

    async def ask(self, key: bytes, command: Command) -> Reply:
        """Append a command and return its answer."""
        _, answer = await self.append(key, command)
        async with asyncio.timeout(LIMIT):
            return await answer

    async def append(self, key: bytes, command: Command) -> "tuple[int, asyncio.Future[Reply]]":
        """Append a command: its append time (ms), and where its answer will be."""
        expected = self.replies.expect()
        stands = await self.appender.append(key, commands.encode(command), (expected.header,))
        return stands.timestamp_ms, expected.future


async def ledger(settings: Settings, customer: str, at_least: int = 0) -> list[entries.Entry]:
    """Every entry of a customer that was written before the call, in order, and ``at_least`` so many. An answer comes
    before its transaction is committed, so who knows how many there must be says so.
    """
    where = TopicPartition(ENTRIES, partition_of(customer.encode(), PARTITIONS))
    written = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    consumer.assign([where])
    await written.start()
    await consumer.start()
    try:
        found: list[entries.Entry] = []
        last = (await written.end_offsets([where]))[where]
        async with asyncio.timeout(LIMIT):
            while await consumer.position(where) < last or len(found) < at_least:
                for record in (await consumer.getmany(where, timeout_ms=100)).get(where, []):
                    read_back = entries.decode(record.value)
                    if read_back.customer_id == customer:
                        found += read_back.entries
        return found
    finally:
        await consumer.stop()
        await written.stop()
