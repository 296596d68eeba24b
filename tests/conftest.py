"""Session fixtures with the real Kafka and the real engine, and the wall around unit tests.

`kafka`, `clickhouse` and `stack` are for tests marked integration or crash. A test without
such a mark cannot connect to anything but a server that it started in its own process.
"""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import settings

from deploy.children import spawn
from deploy.supervisor.directory import read_json

START_LIMIT = 240.0
"""Seconds for a server to come up, the first fetch of Kafka's jars included."""
OUTSIDE = ("integration", "crash")
SERVERS = {"kafka", "own_kafka", "serve", "clickhouse", "stack"}


class ClickHouse(NamedTuple):
    """A running engine: its URL, the writer's name and password, the analyst's (name, password)."""

    url: str
    user: str
    password: str
    analyst: tuple[str, str]


class _Wall:
    """Refuses connections to sockets that this process did not bind, while it is up."""

    def __init__(self) -> None:
        self.up = False
        self.bound: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.bind":
            self.bound.add(arguments[0])
        elif event == "socket.connect" and self.up and arguments[0].family != socket.AF_UNIX:
            self._check(arguments[1])

    def _check(self, address: tuple[Any, ...]) -> None:
        ours = {bound.getsockname()[1] for bound in self.bound if bound.fileno() >= 0}
        if address[1] not in ours:
            raise RuntimeError(f"a unit test tried to connect to {address}; mark it integration")


_wall = _Wall()

# A change is judged by the same examples on every machine; `make fuzz` looks for new ones.
# Without a deadline: how long one takes says something of the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
settings.load_profile("new" if os.environ.get("REV_TEST_SEEDS") == "new" else "repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that runs the tests in the background has Ctrl-C ignored, and every child would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(_wall.hook)


@pytest.fixture(autouse=True)
def _no_network_for_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    if any(request.node.get_closest_marker(mark) for mark in OUTSIDE):
        yield
        return
    wanted = SERVERS & set(request.fixturenames)
    if wanted:
        pytest.fail(f"{', '.join(sorted(wanted))}: only for tests marked {' or '.join(OUTSIDE)}")
    _wall.up = True
    yield
    _wall.up = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A connection of aiokafka that is stopped while it is being made leaves its socket to the garbage collector, which
    blames the test that happens to run. Unit tests open none, and still fail for theirs."""
    for item in items:
        if item.get_closest_marker("integration"):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With REV_RUN_ALL=1 (CI) a test that was skipped or expected to fail fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REV_RUN_ALL") == "1" and reporter is not None:
        not_run = [kind for kind in ("skipped", "xfailed", "xpassed") if reporter.stats.get(kind)]
        if not_run:
            reporter.write_line(f"\nREV_RUN_ALL=1: some tests were {' and '.join(not_run)}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """``await eventually(condition, timeout=30)``: until the (async or plain) condition holds.

    The one place where a test may poll.
    """

    async def until(condition: Callable[[], Any], timeout: float = 30.0) -> None:
        async with asyncio.timeout(timeout):
            while True:
                held = condition()
                if await held if asyncio.iscoroutine(held) else held:
                    return
                await asyncio.sleep(0.02)

    return until


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """run.json of a whole `rev up` on free ports, everything ready, for the whole run;
    ``data`` is its directory and ``admin_token`` its token."""
    data = tmp_path_factory.mktemp("stack") / "data"
    ports = ["--http", "0", "--kafka", "0", "--clickhouse", "0"]
    log = data.with_suffix(".log")
    with log.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "tools.cli", "up", "--data", str(data), *ports], stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not (run := read_json(data / "run.json")).get("up"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"rev up did not come up:\n{log.read_text()[-4000:]}")
            time.sleep(0.05)
        token = (data / "admin.token").read_text().strip()
        yield {**run, "data": data, "admin_token": token}
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of a real broker that lasts for the whole run; topics are up to the test."""
    data = tmp_path_factory.mktemp("kafka")
    with _server("deploy.kafka", data) as (ready, _):
        yield f"127.0.0.1:{ready['port']}"


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of a broker for one test module, for tests of topics with fixed names."""
    data = tmp_path_factory.mktemp("own-kafka")
    with _server("deploy.kafka", data) as (ready, _):
        yield f"127.0.0.1:{ready['port']}"


@pytest.fixture(scope="session")
def serve() -> Callable[[str, Path], AbstractContextManager[tuple[dict[str, Any], subprocess.Popen[bytes]]]]:
    """``with serve(module, data) as (ready, process)``: for tests that kill and start again."""
    return _server


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """A real engine that lasts for the whole run; databases are up to the test."""
    data = tmp_path_factory.mktemp("clickhouse")
    with _server("deploy.clickhouse", data) as (ready, _):
        users = json.loads((data / "users.json").read_text())
        writer = next(name for name, user in users.items() if user["role"] == "rw")
        analyst = next(name for name, user in users.items() if user["role"] == "ro")
        yield ClickHouse(
            f"http://127.0.0.1:{ready['port']}",
            writer,
            users[writer]["password"],
            (analyst, users[analyst]["password"]),
        )


@contextmanager
def _server(module: str, data: Path) -> Iterator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """A ``python -m module`` and the line of JSON that it prints when ready; stopped at the end."""
    log = data.with_suffix(".log")
    with log.open("wb") as errors:
        process = spawn(
            [sys.executable, "-m", module, "--data", str(data), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield _ready_line(process, module, log), process
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def _ready_line(process: subprocess.Popen[bytes], module: str, log: Path) -> dict[str, Any]:
    assert process.stdout is not None
    text, deadline = b"", time.monotonic() + START_LIMIT
    while b"\n" not in text:
        left = deadline - time.monotonic()
        readable, _, _ = select.select([process.stdout], [], [], max(left, 0))
        chunk = os.read(process.stdout.fileno(), 4096) if readable else b""
        if not chunk:
            raise RuntimeError(f"{module} did not come up:\n{log.read_text()[-4000:]}")
        text += chunk
    found: dict[str, Any] = json.loads(text.split(b"\n")[0])
    return found
