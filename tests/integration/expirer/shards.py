"""What a pricer would write to rev.state and what an expirer sends, without a pricer."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.children import spawn
from expirer.heartbeat import Heartbeat
from expirer.peers import Announcement
from expirer.service import GROUP
from schemas import commands, ids, state
from schemas.topics import CLOCK, RAW, STATE
from streams import position
from streams.membership import Membership

EVERYTHING = 1 << 30
"""A position beyond every reminder: the shard has passed it all."""


def opened(event_id: int, expires_at: int, customer: str = "acme") -> tuple[bytes, bytes]:
    """The record of an open outcome."""
    value = state.OpenOutcome(
        event_id, customer, "agent", "outcome_charge", expires_at, 1, price_on_success="4900", task_id="t"
    )
    return state.outcome_key(ids.outcome_id(event_id)), state.encode(value)


def closed(event_id: int, at: int = 5) -> tuple[bytes, bytes]:
    """The record of the same outcome when it has expired."""
    value = state.ClosedOutcome("acme", "expired", "0", event_id + 1, at, "t", True)
    return state.outcome_key(ids.outcome_id(event_id)), state.encode(value)


class Sent(NamedTuple):
    """An expire command in rev.raw. ``at``: its append time, ms."""

    event_id: int
    customer: str
    at: int


class Shard:
    """Stands in for the pricer of one partition."""

    def __init__(self, kafka: str, partition: int) -> None:
        self._kafka = kafka
        self.partition = partition
        self._producer = AIOKafkaProducer(
            bootstrap_servers=kafka, transactional_id=f"shard-{partition}", retry_backoff_ms=5
        )
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=kafka, enable_auto_commit=False, isolation_level="read_committed"
        )
        self.sent: list[Sent] = []
        """Every expire command read so far."""
        self.closes: list[tuple[commands.CloseMonth, int]] = []
        """Every month.close command read so far, and its append time, ms."""
        self.charges: list[commands.ChargeUnpriced] = []
        """Every unpriced.charge command read so far."""

    async def start(self, everything: bool = False) -> None:
        """Only what is sent from now on is read, or everything."""
        await self._producer.start()
        await self._reader.start()
        tp = TopicPartition(RAW, self.partition)
        self._reader.assign([tp])
        end = (await self._reader.end_offsets([tp]))[tp]
        self._reader.seek(tp, 0 if everything else end)

    async def stop(self) -> None:
        await self._producer.stop()
        await self._reader.stop()

    async def write(self, *records: tuple[bytes, bytes | None], passed: int = EVERYTHING, commit: bool = True) -> None:
        """One transaction with the shard's position, committed or aborted."""
        here = position.encode(position.Position(passed, 1, "aa"))
        await self._producer.begin_transaction()
        for key, value in [*records, (position.KEY, here)]:
            await self._producer.send(STATE, value, key, self.partition)
        await self._producer.flush()
        await (self._producer.commit_transaction() if commit else self._producer.abort_transaction())

    async def now(self) -> int:
        """The broker's time in ms."""
        producer = AIOKafkaProducer(bootstrap_servers=self._kafka)
        await producer.start()
        try:
            return int((await producer.send_and_wait(CLOCK, b"test", partition=0)).timestamp)
        finally:
            await producer.stop()

    async def reminders(self) -> Sequence[Sent]:
        """Every expire command so far; the next read begins behind it."""
        for records in (await self._reader.getmany(timeout_ms=20)).values():
            for record in records:
                command = commands.decode(record.value)
                if isinstance(command, commands.Expire):
                    assert record.key == command.customer_id.encode()
                    event_id = int(command.outcome_id.removeprefix("oc_"))
                    self.sent.append(Sent(event_id, command.customer_id, record.timestamp))
                elif isinstance(command, commands.CloseMonth):
                    assert record.key == command.customer_id.encode()
                    self.closes.append((command, record.timestamp))
                elif isinstance(command, commands.ChargeUnpriced):
                    assert record.key == command.customer_id.encode()
                    self.charges.append(command)
        return self.sent

    async def of(self, event_id: int) -> list[Sent]:
        """The reminders of one outcome."""
        return [one for one in await self.reminders() if one.event_id == event_id]


class Rival:
    """A member of the expirers' group that never reminds, like one that is still reading. It announces ``ready``."""

    def __init__(self, kafka: str) -> None:
        self.owns: frozenset[int] = frozenset()
        self.ready: tuple[int, ...] = ()
        self._heartbeat = Heartbeat(kafka, lambda: Announcement("expirer-1", self.ready), 2000)
        self._membership = Membership(
            kafka, group=GROUP, instance="expirer-1", session_timeout=2000, topic=STATE, assign=self._assign
        )
        self._tasks = [asyncio.create_task(self._heartbeat.run()), asyncio.create_task(self._membership.run())]

    async def _assign(self, partitions: frozenset[int]) -> None:
        self.owns = partitions

    async def stop(self) -> None:
        self._heartbeat.stop()
        self._membership.stop()
        await asyncio.gather(*self._tasks)


class Expirer:
    """The service as a process of its own."""

    def __init__(self, kafka: str, directory: Path, ordinal: int, environment: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        told = {
            "REV_KAFKA": kafka,
            "REV_METRICS_PORT": str(self.port),
            "REV_ORDINAL": str(ordinal),
            "REV_DATA": str(directory),
            "REV_SESSION_TIMEOUT": "2s",
            "REV_APPEND_TIMEOUT": "2s",
            "PATH": os.environ["PATH"],
            **environment,
        }
        self.log = directory / f"expirer-{ordinal}.log"
        with self.log.open("ab") as errors:
            self.process: subprocess.Popen[bytes] = spawn(
                [sys.executable, "-m", "tools.cli", "expirer"], env=told, stderr=errors
            )

    async def get(self, path: str) -> tuple[int, str]:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        return (await self.get("/readyz"))[0] == 200

    async def metric(self, name: str, **labels: str) -> float | None:
        """One sample of /metrics, or None while there is none."""
        shown = ",".join(f'{label}="{value}"' for label, value in labels.items())
        wanted = f"{name}{{{shown}}}" if shown else name
        for line in (await self.get("/metrics"))[1].splitlines():
            if line.rpartition(" ")[0] == wanted:
                return float(line.rpartition(" ")[2])
        return None

    def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, once it has gone."""
        self.process.send_signal(sign)
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(30)
