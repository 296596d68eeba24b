"""`rev up` as a person and a script meet it."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bench.running_stack import RunningStack, wait_until
from deploy.supervisor import directory
from deploy.supervisor.plan import SERVICES
from deploy.supervisor.screen import curl

pytestmark = pytest.mark.integration

Serve = Callable[[str, Path], AbstractContextManager[tuple[dict[str, Any], Any]]]


def _rev(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_terminal_shows_what_is_up_and_a_command_that_answers_with_a_price(stack: dict[str, Any]) -> None:
    """A line for every process with its address, where everything is, and a curl line that works when it is
    pasted into a shell: 2400 tokens of a completion cost 1.47 cents."""
    data: Path = stack["data"]
    log = data.with_suffix(".log")
    wait_until(lambda: "Ctrl-C stops everything" in log.read_text(), "all is told")
    shown = log.read_text()
    for name, address in stack["addresses"].items():
        assert re.search(rf"✓ {name} +{re.escape(address)} +\d+\.\d s", shown), name
    for label, where in {"API": stack["http"], "Kafka": stack["kafka"], "ClickHouse": stack["clickhouse"]}.items():
        assert re.search(rf"{label} +{re.escape(where)}", shown), label
    assert "admin.token" in shown and stack["admin_token"] not in shown
    (line,) = re.findall(r"^curl .*$", shown, re.M)
    assert line == curl(stack["http"], data / "demo.key")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    assert json.loads(done.stdout, parse_float=str)["price"]["total_cents"] == "1.47"


def test_the_demo_prices_its_traffic(stack: dict[str, Any]) -> None:
    """What `make demo` does once everything is up: every event and every outcome of its story is in the ledger."""
    command = [sys.executable, "-m", "deploy.demo", "--data", str(stack["data"])]
    env = {**os.environ, "DEMO_ONCE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"All of it is in the ledger: {stack['http']}/v1/usage" in done.stdout


def test_run_json_says_where_everything_is(stack: dict[str, Any]) -> None:
    """Addresses that answer, pids that live, and secrets that only their owner can read."""
    assert set(stack["pids"]) == set(stack["restarts"]) == {*SERVICES, "clickhouse", "kafka", "controller"}
    assert {name: directory.birth(pid) for name, pid in stack["pids"].items()} == stack["births"]
    data: Path = stack["data"]
    for name in ("run.json", "admin.token", "secret.key", "demo.key"):
        assert (data / name).stat().st_mode & 0o777 == 0o600
    user, password = stack["analyst"]
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    request = urllib.request.Request(f"{stack['clickhouse']}/?query=SELECT+1", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.read() == b"1\n"


def test_status_shows_every_service(stack: dict[str, Any]) -> None:
    """`rev status` is a table with one line for each process, and its exit code says that all is ready."""
    done = _rev("status", "--data", str(stack["data"]))
    assert done.returncode == 0, done.stdout
    for name, pid in stack["pids"].items():
        (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith(f"{name} ")]
        assert str(pid) in line and "ready" in line and stack["addresses"][name] in line


def test_status_without_a_stack(tmp_path: Path) -> None:
    """Where nothing runs, `rev status` says so and leaves no trace."""
    done = _rev("status", "--data", str(tmp_path / "none"))
    assert done.returncode == 3 and "No `rev up` is running" in done.stdout.replace("\n", " ")
    assert not (tmp_path / "none").exists()


def test_a_second_instance_is_refused(stack: dict[str, Any]) -> None:
    """One sentence, exit code 2, and the first instance is not disturbed."""
    ports = ["--http", "0", "--kafka", "0", "--clickhouse", "0"]
    done = _rev("up", "--data", str(stack["data"]), *ports)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"in use by another `rev up` (pid {stack['supervisor']})" in done.stderr
    assert directory.read_json(stack["data"] / "run.json")["pids"] == stack["pids"]


def _met(running: RunningStack, body: dict[str, Any], key: str) -> bool:
    """True if an event, over a connection of its own, is charged. A gateway that is killed resets its connections, and
    one that did not make the key knows it a moment later."""
    try:
        return running.call("POST", "/v1/meter", body, key)[0] == 201
    except OSError:
        return False


def _served(running: RunningStack) -> dict[str, float]:
    """Return how many requests each gateway says that it served; -1 for one that does not answer."""
    found = {}
    for name in ("gateway", "gateway-2"):
        try:
            with urllib.request.urlopen(f"{running.run['addresses'][name]}/metrics", timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            text = ""
        counts = re.findall(r"^rev_ingest_request_seconds_count\{.*\} (\S+)$", text, re.M)
        found[name] = sum(map(float, counts)) if text else -1
    return found


def test_the_same_command_runs_against_a_cluster(own_kafka: str, serve: Serve, tmp_path: Path) -> None:
    """With REV_KAFKA and REV_CLICKHOUSE_URL set, only the services are started, and they price. There may be several
    gateways: both serve one address, and it goes on serving while one of them is killed and started again."""
    with serve("deploy.clickhouse", tmp_path / "clickhouse") as (ready, _):
        user = directory.read_json(tmp_path / "clickhouse" / "users.json")["rev"]
        env = {
            "REV_KAFKA": own_kafka,
            "REV_CLICKHOUSE_URL": f"http://127.0.0.1:{ready['port']}",
            "REV_CLICKHOUSE_PASSWORD": user["password"],
            "REV_GATEWAYS": "2",
        }
        running = RunningStack(tmp_path / "data", env)
        try:
            running.wait_ready()
            assert set(running.run["pids"]) == {*SERVICES, "gateway-2"}
            assert running.run["kafka"] == own_kafka
            body = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success"}
            key = running.make_key("cluster")
            before = _served(running)
            wait_until(
                lambda: _met(running, body, key) and all(_served(running)[name] > before[name] for name in before),
                "both serve",
            )
            killed = running.pid("gateway-2")
            os.kill(killed, signal.SIGKILL)
            running.wait_pid("gateway-2", killed)
            wait_until(lambda: _met(running, body, key) and _served(running)["gateway-2"] > 0, "both serve again")
            assert all(_met(running, body, key) for _ in range(8))
        finally:
            assert running.stop() == 0
