"""Waiting for work or for a stop, whichever is first."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def first_of(tasks: Iterable["asyncio.Future[Any]"], *events: asyncio.Event) -> None:
    """Return when a task is done or an event is set. What the tasks returned or raised stays theirs."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait([*tasks, *waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


async def finished(work: Coroutine[Any, Any, Any] | asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Return True when the work is done, or False if ``stop`` is set before; the work is cancelled then.

    Raises what the work raises.
    """
    task = work if isinstance(work, asyncio.Task) else asyncio.create_task(work)
    try:
        await first_of([task], stop)
        if task.done():
            task.result()
        return task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
