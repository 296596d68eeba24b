"""Faults: kill -9 and SIGSTOP/SIGCONT of the processes of a `rev up`, and second processes of a service."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence

from bench.running_stack import RunningStack
from schemas.topics import STATE
from tests.crash.groups import delete_group, stable_ends

SERVICES = ("gateway", "pricer", "ledger", "kafka", "controller", "clickhouse")
SECONDS = ("pricer", "ledger")
GROUP = "pricer"
ANSWERED = 0.1
"""Seconds within which what was answered is not committed yet."""
OWNED = {"pricer": "rev_shard_position{", "expirer": "rev_expirer_open{"}
"""How the metric begins that a process has for each shard that is its own."""


class Faults:
    """Injects faults one after the other and measures how long no event was priced after each kill.

    ``services`` are killed and stopped, the pricer always within ANSWERED seconds of an answer; of each of
    ``seconds`` a second process is started, at once if no other service than the pricer is meant;
    ``ready`` names services that must be ready before a fault counts as over (``outages``), and
    ``shards`` tells how many answers each shard gave, of which each must give another one and commit it.
    """

    def __init__(
        self,
        running: RunningStack,
        rng: random.Random,
        acknowledged: Callable[[], int],
        services: Sequence[str] = SERVICES,
        seconds: Sequence[str] = SECONDS,
        ready: Sequence[str] = (),
        shards: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        self._running, self._rng, self._acknowledged = running, rng, acknowledged
        self._services, self._seconds, self._ready, self._shards = services, seconds, ready, shards
        self._extra: list[subprocess.Popen[bytes]] = []
        self.done: Counter[str] = Counter()
        self.recovery: dict[str, list[float]] = {name: [] for name in services}
        self.outages: list[tuple[float, float]] = []
        """From a fault to when everything in ``ready`` was ready, and every shard had answered again and committed it,
        Unix seconds."""

    async def inject(self, count: int) -> None:
        """``count`` random faults, with every kind of kill among them if there are so many."""
        try:
            await self._inject(count)
        finally:
            await self._end_second()

    async def _inject(self, count: int) -> None:
        planned: list[tuple[str, str]] = [("kill", name) for name in self._services] * 2
        planned += [("stop", name) for name in self._services]
        planned += [("second", name) for name in self._seconds]
        planned += [("forget", "groups"), ("end second", "")]
        while len(planned) < count:
            planned.append((self._rng.choice(["kill", "kill", "stop"]), self._rng.choice(self._services)))
        self._rng.shuffle(planned)
        if self._services == ("pricer",):
            planned.insert(0, ("second", "pricer"))
        for kind, name in planned[: max(count, 1)]:
            await self.one(kind, name)
            await asyncio.sleep(self._rng.uniform(0.5, 3))
        if self._extra:
            await self.one("end second", "")

    async def one(self, kind: str, name: str) -> None:
        """One fault, and its outage."""
        began = time.time()
        await self._one(kind, name)
        if self._ready:
            for service in self._ready:
                await self._until_ready(service)
            answered = self._shards()
            await self._until(
                lambda: all(now > then for now, then in zip(self._shards(), answered, strict=True)),
                f"every shard answers after {kind} {name}",
            )
            await self._until_committed(f"every shard commits after {kind} {name}")
            for service in self._ready:
                await self._until_ready(service)
                if not self._extra:
                    await self._until_whole(service)
            self.outages.append((began, time.time()))
            print(f"    over after {time.time() - began:.1f} s", flush=True)

    async def _one(self, kind: str, name: str) -> None:
        self.done[f"{kind} {name}".strip()] += 1
        print(f"  fault {sum(self.done.values())}: {kind} {name}", flush=True)
        if kind == "kill":
            await self._kill(name)
        elif kind == "stop":
            await self._stop(name)
        elif kind == "second":
            self._second(name)
        elif kind == "forget":
            await self._forget_groups()
        else:
            await self._end_second()

    async def _until_ready(self, name: str, limit: float = 90) -> None:
        until = time.monotonic() + limit
        while not await asyncio.to_thread(_is_ready, self._running.run["addresses"][name]):
            if time.monotonic() > until:
                raise TimeoutError(f"{name} was not ready within {limit} s")
            await asyncio.sleep(0.02)

    async def _until_committed(self, what: str, limit: float = 90) -> None:
        """Until every shard has committed something from now on. Answers come before their commits."""
        kafka, count = self._running.run["kafka"], len(self._shards())
        first, until = await stable_ends(kafka, STATE, count), time.monotonic() + limit
        while not all(now > then for now, then in zip(await stable_ends(kafka, STATE, count), first, strict=True)):
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not within {limit} s")
            await asyncio.sleep(0.02)

    async def _until_whole(self, name: str, limit: float = 90) -> None:
        """Until the one process of a service works on every shard: nobody is ready or not for the
        shards of a second one that was killed, until its session is over."""
        until = time.monotonic() + limit
        while await asyncio.to_thread(_owned, self._running.run["addresses"][name], OWNED[name]) < len(self._shards()):
            if time.monotonic() > until:
                raise TimeoutError(f"{name} had not all shards within {limit} s")
            await asyncio.sleep(0.02)

    async def _kill(self, name: str) -> None:
        before = await self._pid(name)
        await self._answered(name)
        os.kill(before, signal.SIGKILL)
        began = time.monotonic()
        await self._until(lambda: self._running.pid(name) not in (0, before), f"{name} replaced")
        if name in ("gateway", "pricer", "kafka"):
            priced = self._acknowledged()
            await self._until(lambda: self._acknowledged() > priced, f"priced after kill of {name}")
            self.recovery[name].append(time.monotonic() - began)

    async def _pid(self, name: str) -> int:
        await self._until(lambda: self._running.pid(name) != 0, f"{name} runs")
        return self._running.pid(name)

    async def _answered(self, name: str) -> None:
        """Until just after an answer, when its commit is still to come."""
        if name == "pricer":
            answered = self._acknowledged()
            await self._until(lambda: self._acknowledged() > answered, "an answer before a fault of the pricer")
            await asyncio.sleep(self._rng.uniform(0, ANSWERED))

    async def _stop(self, name: str) -> None:
        pid = await self._pid(name)
        await self._answered(name)
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(self._rng.choice([0.3, 1.5, 4, 9]))
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            print(f"  {name} {pid} was replaced while it was stopped", flush=True)

    def _second(self, name: str) -> None:
        run = self._running.run
        users = json.loads((self._running.data / "clickhouse" / "users.json").read_text())
        env = {
            **os.environ,
            "REV_KAFKA": run["kafka"],
            "REV_CLICKHOUSE_URL": run["clickhouse"],
            "REV_CLICKHOUSE_PASSWORD": users["rev"]["password"],
            "REV_DATA": str(self._running.data),
            "REV_ORDINAL": "1",
            "REV_PARTITIONS": str(json.loads((self._running.data / "log.json").read_text())["partitions"]),
        }
        command = [sys.executable, "-m", "tools.cli", name]
        with (self._running.data / "logs" / f"{name}-1.log").open("ab") as log:
            self._extra.append(subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT))

    async def _end_second(self) -> None:
        for number, process in enumerate(self._extra):
            process.kill() if number % 2 else process.terminate()
        for process in self._extra:
            await asyncio.to_thread(process.wait, 30)
        self._extra.clear()

    async def _forget_groups(self) -> None:
        """Delete the pricers' group while they are stopped for longer than their session."""
        await self._end_second()
        pid = await self._pid("pricer")
        os.kill(pid, signal.SIGSTOP)
        try:
            until = time.monotonic() + 60
            while not await delete_group(self._running.run["kafka"], GROUP):
                if time.monotonic() > until:
                    raise TimeoutError("the pricers' group never became empty")
                await asyncio.sleep(0.5)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _until(self, true: Callable[[], bool], what: str, limit: float = 90) -> None:
        until = time.monotonic() + limit
        while not true():
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not within {limit} s")
            await asyncio.sleep(0.02)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=1) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def _owned(address: str, metric: str) -> int:
    """How many shards a process works on; none while it does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/metrics", timeout=1) as answer:
            return sum(line.startswith(metric.encode()) for line in answer)
    except OSError:
        return 0
