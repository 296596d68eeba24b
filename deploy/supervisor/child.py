"""One child process: started, restarted when it dies, stopped.

Guarantees: a child never has two processes at a time (the old one is reaped before the next
start), and none outlives the supervisor (deploy.children). A child that cannot be started
counts as one that died.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from deploy import children
from deploy.supervisor.backoff import Backoff
from deploy.supervisor.spec import Spec

LOG_LIMIT = 32 << 20
"""Bytes of a log above which the next start begins a new log and keeps one old one."""


class Child:
    """The process of one Spec.

    ``clock`` is monotonic seconds. ``changed`` is called on every start and death with a sentence for the log.
    """

    def __init__(self, spec: Spec, logs: Path, clock: Callable[[], float], changed: Callable[[str], None]) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self.pid: int | None = None
        self.restarts = 0
        self._clock, self._changed = clock, changed
        self._backoff = Backoff()
        self._process: asyncio.subprocess.Process | None = None
        self._settings: bytes | None = None
        self._stopping = asyncio.Event()
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Start the child; the returned task ends once the child is stopped."""
        self._task = asyncio.create_task(self._keep_up(), name=self.spec.name)
        return self._task

    def release(self, settings: Mapping[str, str]) -> None:
        """Let a held child begin, now and after each restart."""
        self._settings = json.dumps(dict(settings)).encode() + b"\n"
        self._hand_over()

    async def stop(self, grace: float) -> None:
        """Terminate the child, kill it after ``grace`` seconds, and return when it is gone."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait([self._task], timeout=grace)
        if not done:
            self._signal(signal.SIGKILL)
        await asyncio.wait([self._task])

    async def _keep_up(self) -> None:
        while not self._stopping.is_set():
            began = self._clock()
            ended = await self._run_once()
            if self._stopping.is_set():
                return
            self.restarts += 1
            delay = self._backoff.after(self._clock() - began)
            self._changed(f"{self.spec.name} {ended}; starting again in {delay:g} s (see {self.log})")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def _run_once(self) -> str:
        """Run the process until it dies; return how it ended, as the rest of a sentence."""
        try:
            # In a thread, because it may check files or run a tool. The fork itself must happen
            # in the main thread, because that thread's death kills the child.
            command = await asyncio.to_thread(self.spec.command)
            if self._stopping.is_set():
                return "was stopped before it started"
            self._rotate()
            with self.log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    env={**os.environ, **self.spec.env},
                    stdin=subprocess.PIPE if self.spec.held else subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    preexec_fn=children.die_with(os.getpid(), self.spec.niceness),
                )
        except (OSError, RuntimeError, ValueError) as error:
            return f"cannot be started: {error}"
        self.pid = self._process.pid
        if self._stopping.is_set():  # the stop came while the process was being created
            self._signal(signal.SIGTERM)
        self._hand_over()
        self._changed("")
        code = await self._process.wait()
        self.pid = self._process = None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"

    def _rotate(self) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.rename(self.log.with_suffix(".log.1"))

    def _hand_over(self) -> None:
        if self._process is None or self._settings is None or self._process.stdin is None:
            return
        if not self._process.stdin.is_closing():
            self._process.stdin.write(self._settings)
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
