"""A processor that counts, on purpose not idempotent, and a process that hosts it.

Commands are JSON with a ``do``: ``count`` adds one to its key's counter and leaves an entry; ``ask``
does so and answers with the count in ``code``, which need not wait for the commit;
``remember`` remembers its ``id``; ``fail`` raises; ``huge`` leaves an entry of ``size`` bytes;
``send`` owes ``times`` numbered count commands to every partition and answers; ``view`` writes the view.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from schemas.replies import ConfiguredReply, RefusedReply
from streams.appends import Appender
from streams.host import ShardHost
from streams.instance import Instance
from streams.log import setup
from streams.reply_sender import ReplySender
from streams.rocks import RocksStore
from streams.shard import ShardConfig
from streams.topic_names import TopicNames
from streams.types import Decision, InputRecord, OutgoingRecord, RetainedRecord, StateView

SERVICE = "toy"


class Counting:
    """See the module's docstring. ``retained_from`` restores what ``remember`` remembered."""

    version = 1

    def apply(self, record: InputRecord, state: StateView) -> Decision:
        command = json.loads(record.value)
        return getattr(self, command["do"])(record, state, command)  # type: ignore[no-any-return]

    def count(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        count = int(state.get(b"count/" + record.key) or 0) + 1
        entry = {
            "n": count,
            "offset": record.offset,
            "partition": record.partition,
            "id": command.get("id"),
            "at": record.at,
        }
        reply = ConfiguredReply(status=count)
        changes = ((b"count/" + record.key, b"%d" % count),)
        return Decision(json.dumps(entry).encode(), changes, reply=reply)

    def ask(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        counted = self.count(record, state, command)
        count = json.loads(counted.entries or b"")["n"]
        padding = {"padding": "x" * command["size"]} if "size" in command else {}
        entry = json.dumps({**json.loads(counted.entries or b""), **padding}).encode()
        reply = RefusedReply(200, str(count), "")
        return counted._replace(entries=entry, reply=reply)

    def remember(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        key = command["id"].encode()
        seen = state.get_retained(key)
        counted = self.count(record, state, command)
        entry = {**json.loads(counted.entries or b""), "remember": command["id"], "seen": seen and seen.value.decode()}
        value = b"%d" % record.offset
        retained = () if seen else (RetainedRecord(key, value, record.at),)
        return counted._replace(entries=json.dumps(entry).encode(), retained=retained)

    def fail(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        raise ValueError("told to fail")

    def huge(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        return Decision(b"x" * command["size"])

    def send(self, record: InputRecord, state: StateView, command: dict[str, Any]) -> Decision:
        outgoing = tuple(
            OutgoingRecord(None, b"sent", json.dumps({"do": "count", "id": f"{record.offset}-{i}"}).encode())
            for i in range(command["times"])
        )
        reply = ConfiguredReply()
        return Decision(view=((b"sent", b"%d" % record.offset),), outgoing=outgoing, reply=reply)

    def reject(self, record: InputRecord, reason: str) -> Decision:
        reply = ConfiguredReply(status=400)
        return Decision(json.dumps({"rejected": reason, "offset": record.offset}).encode(), reply=reply)

    def weight(self, record: InputRecord) -> int:
        return 1

    def retained_from(self, record: InputRecord) -> list[RetainedRecord]:
        entry = json.loads(record.value) if record.value[:1] == b"{" else {}
        if entry.get("remember") is None or entry["seen"] is not None:
            return []
        return [RetainedRecord(entry["remember"].encode(), b"%d" % entry["offset"], record.at)]


def config(
    kafka: str, names: TopicNames, epoch: str, partitions: int, appender: Appender, reply_sender: ReplySender
) -> ShardConfig:
    """The group and the transactional ids are of the raw topic's own, since a broker serves many tests."""
    service = f"{SERVICE}.{names.raw}"
    return ShardConfig(kafka, service, Counting(), epoch, partitions, appender, reply_sender, names)


async def host(kafka: str, names: TopicNames, data: Path, ordinal: int, epoch: str, partitions: int) -> None:
    """Hosts until SIGTERM; prints a line of JSON when all of its shards run, and whenever that changes."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    instance = Instance(data, SERVICE, ordinal)
    reply_sender, appender = ReplySender(kafka, names.replies), Appender(kafka, append_timeout=5000, topic=names.raw)
    await reply_sender.start()
    await appender.start()
    made = ShardHost(
        config(kafka, names, epoch, partitions, appender, reply_sender),
        instance.name,
        lambda partition: RocksStore(instance.directory / str(partition)),
    )
    telling = asyncio.create_task(announce(made))
    await made.run(stop)
    telling.cancel()
    await appender.stop()
    await reply_sender.stop()


async def announce(made: ShardHost) -> None:
    told = None
    while True:
        now = {"reasons": made.not_ready_reasons(), "shards": sorted(made.shards())}
        if now != told:
            print(json.dumps(now), flush=True)
            told = now
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    setup(SERVICE)
    given = json.loads(sys.argv[1])
    uvloop.run(
        host(
            given["kafka"],
            TopicNames(*given["names"]),
            Path(given["data"]),
            given["ordinal"],
            given["epoch"],
            given["partitions"],
        )
    )
