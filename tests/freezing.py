"""Freezing a process: SIGSTOP returns before the process has stopped.

The kernel wakes one thread for the signal, and that one stops the others: on a busy machine a broker went on answering
for up to 60 ms. A test that goes on at once meets a process that is not frozen yet.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.running_stack import wait_until

STOPPED = {"T", "t", "Z", "X"}
"""States of a thread that runs nothing (proc_pid_stat(5)): stopped, traced, ended."""


def freeze(pid: int) -> None:
    """Stop a process and return when none of its threads runs. Raises TimeoutError if one still does after 60 s."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _states(pid) <= STOPPED, f"process {pid} is frozen", every=0.002)


def thaw(pid: int) -> None:
    """Let a frozen process go on."""
    os.kill(pid, signal.SIGCONT)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process does not run meanwhile."""
    freeze(pid)
    try:
        yield
    finally:
        thaw(pid)


def _states(pid: int) -> set[str]:
    found = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            # The name before it, in brackets, may have blanks and brackets of its own.
            found.add((thread / "stat").read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # the thread has ended
    return found
