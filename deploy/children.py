"""Starting processes that cannot outlive their parent.

This module only starts them; the supervisor decides which restart, when and in which order.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child should do as little as possible between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with(parent: int, niceness: int = 0) -> Callable[[], None]:
    """Return what a child runs before its exec so that it is killed when ``parent`` is gone, and runs at ``niceness``.

    Linux counts the death of the thread that forked, so fork from the main thread. Without such
    a call (not Linux), the child only gets its own session.
    """

    def prepare() -> None:
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died between the fork and the call above
                os._exit(1)
        # Ctrl-C in the terminal goes to the supervisor, which stops the others in order.
        os.setsid()
        if niceness:
            os.nice(niceness)
            # Linux may share the cores among sessions first (autogroup in sched(7)); the niceness is then within one.
            with suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(niceness))

    return prepare


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` so that it is killed when this process ends, even by SIGKILL."""
    return subprocess.Popen(
        list(command),
        env=None if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        preexec_fn=die_with(os.getpid()),
    )
