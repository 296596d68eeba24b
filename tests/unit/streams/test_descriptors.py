"""The limit of open files: raised as far as it may be, by the services themselves too."""

import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.children import spawn
from streams.descriptors import WANTED, raised

UNLIMITED = resource.RLIM_INFINITY
ALONE = {"notifier": "notifier_stands_still", "ingest": "serving"}
"""What a service says in the end that finds nobody: a notifier without a key, and a gateway without a log."""


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


def start(service: str, hard: int, log: Path) -> "subprocess.Popen[bytes]":
    """One that is let have 256 at first, and ``hard`` at most."""
    limited = f'ulimit -Sn 256; ulimit -Hn {hard}; exec "$@"'
    nobody = {"REV_KAFKA": "127.0.0.1:1", "REV_HTTP_PORT": "0"}
    main = f"from {service}.service import main; from schemas.settings import read; main(read({nobody}))"
    with log.open("wb") as errors:
        return spawn(["/bin/sh", "-c", limited, "sh", sys.executable, "-c", main], stderr=errors)


def limits(pid: int) -> list[int]:
    """Soft and hard limit of a process."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return [int(word) for word in next(line for line in lines if line.startswith("Max open files")).split()[3:5]]


@pytest.mark.parametrize(("hard", "limit"), [(WANTED + 1, WANTED), (512, 512)])
@pytest.mark.parametrize("service", ALONE)
async def test_a_service_raises_its_own(
    service: str, hard: int, limit: int, tmp_path: Path, eventually: Callable[..., Awaitable[None]]
) -> None:
    """Started with 256 it has what it wants, or all that it may; where that is too little it says so."""
    log = tmp_path / "log"
    process = start(service, hard, log)
    try:
        await eventually(lambda: ALONE[service] in log.read_text(), 60)
        assert limits(process.pid) == [limit, hard]
        assert ("few_descriptors" in log.read_text()) == (limit < WANTED)
    finally:
        process.terminate()
        assert process.wait(30) == 0
