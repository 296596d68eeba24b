"""The limit of open files: raised as far as it may be, by the service itself too."""

import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.children import spawn
from notifier.descriptors import WANTED, raised

UNLIMITED = resource.RLIM_INFINITY
MAIN = "from notifier.service import main; from schemas.settings import read; main(read({}))"


@pytest.mark.parametrize(
    ("soft", "hard", "limit"),
    [
        (1024, 1 << 20, 8000),
        (1024, 8000, 8000),
        (1024, 4096, 4096),
        (1024, 1024, 1024),
        (1024, UNLIMITED, 8000),
        (9000, 1 << 20, 9000),
        (UNLIMITED, UNLIMITED, UNLIMITED),
    ],
)
def test_as_far_as_the_hard_limit_lets(soft: int, hard: int, limit: int) -> None:
    """What is wanted, or the hard limit; what is more already stays."""
    assert raised(soft, hard, 8000) == limit


def notifier(hard: int, log: Path) -> "subprocess.Popen[bytes]":
    """One that is let have 256 at first, and ``hard`` at most."""
    limited = f'ulimit -Sn 256; ulimit -Hn {hard}; exec "$@"'
    with log.open("wb") as errors:
        return spawn(["/bin/sh", "-c", limited, "sh", sys.executable, "-c", MAIN], stderr=errors)


def limits(pid: int) -> list[int]:
    """Soft and hard limit of a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return [int(word) for word in next(line for line in lines if line.startswith("Max open files")).split()[3:5]]


@pytest.mark.parametrize(("hard", "limit"), [(WANTED + 1, WANTED), (512, 512)])
async def test_the_notifier_raises_its_own(
    hard: int, limit: int, tmp_path: Path, eventually: Callable[..., Awaitable[None]]
) -> None:
    """Started with 256 it has what it wants, or all that it may; where that is too little it says so."""
    log = tmp_path / "log"
    process = notifier(hard, log)
    try:
        # without a key it stands still, and needs nobody
        await eventually(lambda: "notifier_stands_still" in log.read_text(), 60)
        assert limits(process.pid) == [limit, hard]
        assert ("few_descriptors" in log.read_text()) == (limit < WANTED)
    finally:
        process.terminate()
        assert process.wait(30) == 0
