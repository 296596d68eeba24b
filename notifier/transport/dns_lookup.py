"""Asking the system for the addresses of a name, so that one customer's slow name server holds up
nobody else's deliveries.

getaddrinfo blocks a thread, for as long as the servers of the name like. So there are three groups
of threads: for names that were answered well the last time, for names that are new, and for names
whose last lookup failed or took long. However many new or slow names there are, they wait for
each other. The threads are daemons: a lookup that hangs does not hold up the end of the process.
"""

import asyncio
import queue
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

THREADS = 16
"""Of each group, at most."""
SLOW_S = 1.0
"""A lookup that takes longer puts its name into the last group."""
REMEMBERED_NAMES = 10_000
"""How many names have a history at most; the one asked longest ago is new again."""
_GOOD, _NEW, _SLOW = range(3)

Ask = Callable[[str], list[str]]
"""The addresses of a name, blocking. Raises OSError."""
_Job = tuple[str, "asyncio.Future[list[str]]", asyncio.AbstractEventLoop]


def ask_system(name: str) -> list[str]:
    """Addresses of a name in the order in which they are to be tried. Raises socket.gaierror, or the OSError
    of a process that is out of descriptors: getaddrinfo may say of it that there is no such name."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror:
        socket.socket().close()
        raise
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class SystemLookup:
    """Lookups in threads. Called with a name it gives its addresses; raises OSError."""

    def __init__(self, ask: Ask = ask_system, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._history: OrderedDict[str, int] = OrderedDict()
        self._groups = [_Threads(THREADS, self._answer) for _ in (_GOOD, _NEW, _SLOW)]

    async def __call__(self, name: str) -> list[str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[str]] = loop.create_future()
        began = self._clock()
        self._groups[self._history.get(name, _NEW)].put((name, done, loop))
        try:
            found = await done
        except OSError:
            self._cache(name, _SLOW)
            raise
        self._cache(name, _SLOW if self._clock() - began > SLOW_S else _GOOD)
        return found

    def close(self) -> None:
        """Let the threads end; those that hang in a lookup end with the process."""
        for group in self._groups:
            group.close()

    def _cache(self, name: str, group: int) -> None:
        self._history[name] = group
        self._history.move_to_end(name)
        if len(self._history) > REMEMBERED_NAMES:
            self._history.popitem(last=False)

    def _answer(self, job: _Job) -> None:
        """In a thread: ask, and tell the loop that waits, if it still runs."""
        name, done, loop = job
        try:
            found: list[str] | OSError = self._ask(name)
        except OSError as error:
            found = error
        except UnicodeError as error:
            found = OSError(f"not a name: {error}")
        with suppress(RuntimeError):  # the loop was closed, so nobody waits any more
            loop.call_soon_threadsafe(_settle, done, found)


def _settle(done: "asyncio.Future[list[str]]", found: list[str] | OSError) -> None:
    if done.done():  # whoever waited was cancelled
        return
    if isinstance(found, OSError):
        done.set_exception(found)
    else:
        done.set_result(found)


class _Threads:
    """Daemon threads, started when first needed, that take jobs from one queue."""

    def __init__(self, most: int, work: Callable[[_Job], None]) -> None:
        self._most, self._work = most, work
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started = self._busy = 0
        self._lock = threading.Lock()

    def put(self, job: _Job) -> None:
        with self._lock:
            self._busy += 1
            if self._busy > self._started < self._most:
                self._started += 1
                threading.Thread(target=self._run, name="lookup", daemon=True).start()
        self._jobs.put(job)

    def close(self) -> None:
        for _ in range(self._started):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._work(job)
            with self._lock:
                self._busy -= 1
