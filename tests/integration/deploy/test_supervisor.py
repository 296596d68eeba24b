"""The supervisor with trivial children: real processes, no Kafka and no engine."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.supervisor import directory
from deploy.supervisor.group import Group, NotReady
from deploy.supervisor.spec import Spec

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]

SLEEP = "import signal; signal.pause()"
DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""


def _spec(name: str, script: str, *arguments: str, held: bool = False) -> Spec:
    async def ready() -> bool:
        return True

    command = [sys.executable, "-c", script, *arguments]
    return Spec(name, lambda: command, ready, held=held)


@asynccontextmanager
async def _running(
    specs: Sequence[Spec], tmp_path: Path, told: list[str] | None = None, within: float = 20.0
) -> AsyncIterator[Group]:
    group = Group(specs, tmp_path / "logs", time.monotonic, (told if told is not None else []).append)
    group.start()
    try:
        yield group
    finally:
        await group.stop(within)


async def test_a_child_that_is_killed_is_started_again(tmp_path: Path, eventually: Eventually) -> None:
    """Another pid, one restart counted, and a sentence that says what happened and where its log is."""
    told: list[str] = []
    async with _running([_spec("a", SLEEP), _spec("b", SLEEP)], tmp_path, told) as group:
        await eventually(lambda: len(group.pids) == 2)
        before = group.pids
        os.kill(before["a"], signal.SIGKILL)
        await eventually(lambda: group.pids.get("a", before["a"]) != before["a"])
        assert directory.birth(before["a"]) is None
        assert group.restarts == {"a": 1, "b": 0} and group.pids["b"] == before["b"]
    assert any(
        "a was killed by SIGKILL; starting again in 0.02 s" in sentence and "a.log" in sentence for sentence in told
    )


def _share_of_its_session(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/autogroup").read_text().split()[-1]  # "/autogroup-12 nice 7"
    except OSError:
        return "none"


async def test_a_child_is_as_nice_as_it_should_be(tmp_path: Path, eventually: Eventually) -> None:
    """Towards every process, also where Linux shares the processor among sessions first."""
    specs = [_spec("as all", SLEEP), _spec("nicer", SLEEP)._replace(niceness=7)]
    async with _running(specs, tmp_path) as group:
        await eventually(lambda: len(group.pids) == len(specs))
        for spec in specs:
            pid = group.pids[spec.name]
            own = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, pid) == min(own + spec.niceness, 19)
            assert _share_of_its_session(pid) in (str(spec.niceness), "none")


async def test_a_child_that_cannot_start_is_tried_again(tmp_path: Path, eventually: Eventually) -> None:
    """A command that fails to be made (such as a jar that is not the listed one) is visible and repeated."""

    def broken() -> Sequence[str]:
        raise RuntimeError("no such thing")

    told: list[str] = []
    spec = _spec("a", SLEEP)._replace(command=broken)
    async with _running([spec], tmp_path, told) as group:
        await eventually(lambda: group.restarts["a"] >= 2)
    assert any("a cannot be started: no such thing" in sentence for sentence in told)


async def test_children_are_stopped_in_order(tmp_path: Path, eventually: Eventually) -> None:
    """Each child is gone before the next is asked to go, so that it still has what it writes to."""
    journal = tmp_path / "journal"
    script = (
        "import signal, sys\n"
        "def stop(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    names = [
        "gateway",
        "web",
        "collector",
        "notifier",
        "expirer",
        "pricer",
        "ledger",
        "clickhouse",
        "kafka",
        "controller",
    ]
    async with _running([_spec(name, script, str(journal), name) for name in names], tmp_path) as group:
        await eventually(lambda: len(group.pids) == len(names))
        await eventually(lambda: all("up" in child.log.read_text() for child in group.children.values()))
    assert journal.read_text().split() == names
    assert group.pids == {}


async def test_children_beside_each_other_stop_together(tmp_path: Path, eventually: Eventually) -> None:
    """The first one goes only when the second one has been asked to; one after the other, it would be killed."""
    asked, gone = tmp_path / "asked", tmp_path / "gone"
    waits = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "    open(sys.argv[2], 'w').close(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    tells = (
        "import signal, sys\n"
        "def stop(*_):\n"
        "    open(sys.argv[1], 'w').close(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); print('up', flush=True)\n"
        "while True: signal.pause()\n"
    )
    specs = [_spec("first", waits, str(asked), str(gone)), _spec("second", tells, str(asked))._replace(beside=True)]
    async with _running(specs, tmp_path) as group:
        await eventually(lambda: len(group.pids) == len(specs))
        await eventually(lambda: all("up" in child.log.read_text() for child in group.children.values()))
    assert gone.exists() and group.pids == {}


async def test_a_child_that_will_not_go_is_killed(tmp_path: Path, eventually: Eventually) -> None:
    """SIGTERM that is ignored is followed by SIGKILL when the time for stopping is used up."""
    async with _running([_spec("deaf", DEAF)], tmp_path, within=0.2) as group:
        await eventually(lambda: group.pids and "deaf" in group.children["deaf"].log.read_text())
        pid = group.pids["deaf"]
    assert directory.birth(pid) is None


async def test_a_held_child_gets_its_settings_at_every_start(tmp_path: Path, eventually: Eventually) -> None:
    """It waits for one line of JSON, which its successor gets at once."""
    script = "import sys, signal; print(sys.stdin.readline(), flush=True); signal.pause()"
    async with _running([_spec("held", script, held=True)], tmp_path) as group:
        await eventually(lambda: "held" in group.pids)
        assert group.children["held"].log.read_text() == ""
        group.release({"REV_KAFKA": "k:1"})

        def lines() -> list[dict[str, str]]:
            return [json.loads(line) for line in group.children["held"].log.read_text().splitlines() if line]

        await eventually(lambda: lines() == [{"REV_KAFKA": "k:1"}])
        os.kill(group.pids["held"], signal.SIGKILL)
        await eventually(lambda: lines() == 2 * [{"REV_KAFKA": "k:1"}])


async def test_a_child_that_never_serves_is_named(tmp_path: Path) -> None:
    """Waiting for readiness ends with an error that names the child and its log."""

    async def never() -> bool:
        return False

    async with _running([_spec("slow", SLEEP)._replace(ready=never)], tmp_path) as group:
        with pytest.raises(NotReady, match=r"slow was not ready within 0\.1 s; see .*slow\.log"):
            await group.ready("slow", 0.1)


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path, eventually: Eventually) -> None:
    """kill -9 of the supervisor takes its children with it, also those that ignore SIGTERM."""
    script = Path(__file__).with_name("lonely_supervisor.py")
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), DEAF, stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    pids: list[int] = []
    while len(pids) < 2:
        pids = [int(word) for word in (await supervisor.stdout.readline()).split()]
    await eventually(lambda: all("deaf" in (tmp_path / f"{name}.log").read_text() for name in ("a", "b")))
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: [directory.birth(pid) for pid in pids] == [None, None])
