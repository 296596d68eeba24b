"""The running queries: unique query ids, and stopping a query for good.

The engine numbers queries by itself and accepts no id, so ids are kept here. A writer relies
on two rules (docs/decisions/0003): while a query runs, nobody else can use its id, and once
KILL QUERY … SYNC has answered, the query changes nothing any more.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

from deploy.clickhouse.errors import cancelled, refusal

_AGAIN = 0.05
"""Seconds between attempts to kill, because a query may not have reached the engine yet."""

Result = TypeVar("Result")


class RunningQuery:
    """One request's query. All of it runs in one task, and a kill cancels that task."""

    def __init__(self, query_id: str, user: str, query: bytes) -> None:
        self.query_id = query_id
        self.user = user
        self.query = query
        self.since = time.monotonic()
        self.killed = False
        self.tag: str | None = None
        """Tag of the handle that it runs on."""
        self.done = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None

    def stop(self) -> None:
        """Cancel the query; ``done`` is set when it has ended."""
        self.killed = True
        if self.task is not None:
            self.task.cancel()


class Registry:
    """The running queries by id, and the threads that run their blocking parts."""

    def __init__(self, control: Executor, kill: Callable[[str], None]) -> None:
        self._control = control
        self._kill = kill
        self._queries: dict[str, RunningQuery] = {}

    def list(self) -> list[RunningQuery]:
        return list(self._queries.values())

    def get(self, query_id: str) -> RunningQuery | None:
        return self._queries.get(query_id)

    async def run(self, running: RunningQuery, work: Coroutine[Any, Any, Result]) -> Result:
        """Await ``work`` under the query's id, to its end even when this task is cancelled.

        Raises ClickHouseError 216 if the id is taken and 394 if the query was killed.
        """
        if running.query_id in self._queries:
            work.close()
            sentence = f"Query with id = {running.query_id[:100]} is already running."
            raise refusal(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", sentence)
        self._queries[running.query_id] = running
        task = running.task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():  # our own caller went away
                running.stop()
                await asyncio.wait({task})
                raise
            if running.killed:
                raise cancelled() from None
            raise
        finally:
            del self._queries[running.query_id]
            running.done.set()

    async def in_thread(
        self, pool: Executor, running: RunningQuery, function: Callable[..., Result], *arguments: Any
    ) -> Result:
        """Run a blocking step of the query. If cancelled, kill it in the engine and wait for it."""

        def step() -> Result:
            if running.killed:
                raise cancelled()
            return function(*arguments)

        future = asyncio.get_running_loop().run_in_executor(pool, step)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _to_the_end(self._silence(running, future))
            raise

    async def to_the_end(self, pool: Executor, function: Callable[[], None]) -> None:
        """Run a blocking step that must happen, even when the query is cancelled."""
        await _to_the_end(_done(asyncio.get_running_loop().run_in_executor(pool, function)))

    async def _silence(self, running: RunningQuery, future: asyncio.Future[Any]) -> None:
        loop = asyncio.get_running_loop()
        while not future.done():
            if running.tag is not None:
                await loop.run_in_executor(self._control, self._kill, running.tag)
            await asyncio.wait({future}, timeout=_AGAIN)
        # Mark the error as seen: the query was cancelled, so nobody needs it.
        future.exception()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Await ``work`` to its end despite cancellations."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    task.result()


async def _done(future: asyncio.Future[None]) -> None:
    await future
