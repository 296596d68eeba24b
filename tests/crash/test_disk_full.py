"""A small file system that fills up: intake stops before anything acknowledged is lost."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.running_stack import RunningStack, wait_until

pytestmark = pytest.mark.crash

SIZE = 700 << 20
RESERVE = 200 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 700 MiB; mounting one needs root."""
    where = tmp_path / "small"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


def test_the_reserve_stops_intake_and_everything_acknowledged_is_kept(small: Path) -> None:
    """With less than the reserve free: 503 not_recorded, /readyz says why; with space back, all is there."""
    running = RunningStack(small / "data", {"REV_DISK_RESERVE": str(RESERVE)})
    filler = small / "filler"
    try:
        running.wait_ready()
        key = running.make_key("disk")
        body = {"agent_id": "a", "action": "chat"}
        acknowledged = 0
        for _ in range(50):
            acknowledged += running.call("POST", "/v1/meter", body, key)[0] == 201
        free = int(subprocess.check_output(["df", "--output=avail", "-B1", str(small)]).split()[1])
        subprocess.run(["fallocate", "-l", str(free - RESERVE // 2), str(filler)], check=True)

        def refused() -> bool:
            nonlocal acknowledged
            status, answer = running.call("POST", "/v1/meter", body, key)
            acknowledged += status == 201
            return (status, answer.get("code")) == (503, "not_recorded")

        wait_until(refused, "intake stops")
        status, ready = running.call("GET", "/readyz")
        assert status == 503 and "disk" in str(ready)
        filler.unlink()
        wait_until(lambda: running.call("POST", "/v1/meter", body, key)[0] == 201, "intake goes on")
        acknowledged += 1
        count = "SELECT count() FROM rev.entries WHERE customer_id = 'disk' AND kind = 'event'"
        wait_until(lambda: int(running.sql(count)) == acknowledged, "every acknowledged event is in the ledger")
    finally:
        running.stop()
