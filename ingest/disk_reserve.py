"""The disk reserve: intake stops before the disk is full, since a full disk loses more.

The function that reads the disk is passed in; ingest.service starts the task that repeats it.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

from ingest import metrics

EVERY = 1.0
"""Seconds between two checks of the disk."""


class FileSystem(Protocol):
    """The result of os.statvfs."""

    @property
    def f_bavail(self) -> int: ...
    @property
    def f_frsize(self) -> int: ...


class DiskReserve:
    """A check that at least ``reserve`` bytes are free under ``path``; 0 = no check."""

    def __init__(self, path: str, reserve: int, statvfs: Callable[[str], FileSystem] = os.statvfs) -> None:
        self._path = path
        self._reserve = reserve
        self._statvfs = statvfs
        self.problem: str | None = None
        """The reason why intake is stopped; None if it is not."""

    def check(self) -> None:
        """Check the disk once."""
        if not self._reserve:
            return
        try:
            found = self._statvfs(self._path)
        except OSError as error:
            self.problem = f"disk: cannot read the free space of {self._path} ({error.strerror})"
            return
        free = found.f_bavail * found.f_frsize
        metrics.DISK_FREE.set(free)
        low = free < self._reserve
        self.problem = f"disk: {free} bytes are free, {self._reserve} must stay free" if low else None

    async def watch(self) -> None:
        """Check the disk repeatedly until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(EVERY)
