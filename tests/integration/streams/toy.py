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

from schemas.replies import Configured, Refused
from streams.answers import Answers
from streams.appends import Appender
from streams.host import ShardHost
from streams.instance import Instance
from streams.log import setup
from streams.names import Names
from streams.rocks import RocksStore
from streams.shard import Setting
from streams.types import Decision, Input, Outgoing, Remembered, StateView

SERVICE = "toy"


class Counting:
    """See the module's docstring. ``recollect`` restores what ``remember`` remembered."""

    version = 1

    def apply(self, record: Input, state: StateView) -> Decision:
        command = json.loads(record.value)
        return getattr(self, command["do"])(record, state, command)  # type: ignore[no-any-return]

    def count(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        count = int(state.get(b"count/" + record.key) or 0) + 1
        entry = {
            "n": count,
            "offset": record.offset,
            "partition": record.partition,
            "id": command.get("id"),
            "at": record.at,
        }
        reply = Configured(status=count)
        changes = ((b"count/" + record.key, b"%d" % count),)
        return Decision(json.dumps(entry).encode(), changes, reply=reply)

    def ask(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        counted = self.count(record, state, command)
        count = json.loads(counted.entries or b"")["n"]
        padding = {"padding": "x" * command["size"]} if "size" in command else {}
        entry = json.dumps({**json.loads(counted.entries or b""), **padding}).encode()
        reply = Refused(200, str(count), "")
        return counted._replace(entries=entry, reply=reply)

    def remember(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        key = command["id"].encode()
        seen = state.recall(key)
        counted = self.count(record, state, command)
        entry = {**json.loads(counted.entries or b""), "remember": command["id"], "seen": seen and seen.value.decode()}
        value = b"%d" % record.offset
        remembered = () if seen else (Remembered(key, value, record.at),)
        return counted._replace(entries=json.dumps(entry).encode(), remembered=remembered)

    def fail(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        raise ValueError("told to fail")

    def huge(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        return Decision(b"x" * command["size"])

    def send(self, record: Input, state: StateView, command: dict[str, Any]) -> Decision:
        outgoing = tuple(
            Outgoing(None, b"sent", json.dumps({"do": "count", "id": f"{record.offset}-{i}"}).encode())
            for i in range(command["times"])
        )
        reply = Configured()
        return Decision(view=((b"sent", b"%d" % record.offset),), outgoing=outgoing, reply=reply)

    def reject(self, record: Input, reason: str) -> Decision:
        reply = Configured(status=400)
        return Decision(json.dumps({"rejected": reason, "offset": record.offset}).encode(), reply=reply)

    def weight(self, record: Input) -> int:
        return 1

    def recollect(self, record: Input) -> list[Remembered]:
        entry = json.loads(record.value) if record.value[:1] == b"{" else {}
        if entry.get("remember") is None or entry["seen"] is not None:
            return []
        return [Remembered(entry["remember"].encode(), b"%d" % entry["offset"], record.at)]


def setting(kafka: str, names: Names, epoch: str, partitions: int, appender: Appender, answers: Answers) -> Setting:
    """The group and the transactional ids are of the raw topic's own, since a broker serves many tests."""
    service = f"{SERVICE}.{names.raw}"
    return Setting(kafka, service, Counting(), epoch, partitions, appender, answers, names)


async def host(kafka: str, names: Names, data: Path, ordinal: int, epoch: str, partitions: int) -> None:
    """Hosts until SIGTERM; prints a line of JSON when all of its shards run, and whenever that changes."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    instance = Instance(data, SERVICE, ordinal)
    answers, appender = Answers(kafka, names.replies), Appender(kafka, append_timeout=5000, topic=names.raw)
    await answers.start()
    await appender.start()
    made = ShardHost(
        setting(kafka, names, epoch, partitions, appender, answers),
        instance.name,
        lambda partition: RocksStore(instance.directory / str(partition)),
    )
    telling = asyncio.create_task(tell(made))
    await made.run(stop)
    telling.cancel()
    await appender.stop()
    await answers.stop()


async def tell(made: ShardHost) -> None:
    told = None
    while True:
        now = {"reasons": made.reasons(), "shards": sorted(made.shards())}
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
            Names(*given["names"]),
            Path(given["data"]),
            given["ordinal"],
            given["epoch"],
            given["partitions"],
        )
    )
