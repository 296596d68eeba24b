"""Looks up addresses of a name with the system resolver, so that one customer's slow name server does not
delay anybody else's deliveries.

getaddrinfo blocks a thread for as long as the name servers take. So there are three groups of threads: for
names whose last lookup was good, for new names, and for names whose last lookup failed or was slow. New and
slow names therefore delay only each other, however many there are. The threads are daemons: a lookup that
hangs does not delay the end of the process.
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
"""Maximum threads of each group."""
SLOW_S = 1.0
"""Seconds after which a lookup counts as slow and its name moves to the last group."""
REMEMBERED_NAMES = 10_000
"""Maximum names with a history; the one looked up longest ago becomes new again."""
_GOOD, _NEW, _SLOW = range(3)

Ask = Callable[[str], list[str]]
"""Function that returns the addresses of a name, blocking. Raises OSError."""
_Job = tuple[str, "asyncio.Future[list[str]]", asyncio.AbstractEventLoop]


def ask_system(name: str) -> list[str]:
    """Return the addresses of a name in the order to try them. Raises socket.gaierror, or the OSError of a
    process that is out of descriptors, which getaddrinfo may report as an unknown name."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror:
        socket.socket().close()
        raise
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class SystemLookup:
    """Lookups in threads. Calling it with a name returns the addresses; raises OSError."""

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
        """Look up the name in a thread and pass the result to the waiting loop, if it still runs."""
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
    if done.done():  # the waiting task was cancelled
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
