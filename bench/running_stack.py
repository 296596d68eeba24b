"""A `rev up` of our own to measure or to stress: started in an empty directory, read through run.json."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FREE_PORTS = ("--http", "0", "--kafka", "0", "--clickhouse", "0")


class RunningStack:
    """One `rev up`. ``started`` is the monotonic time of its launch."""

    def __init__(self, data: Path, env: dict[str, str] | None = None, tree: Path | None = None) -> None:
        """Start it. ``tree``: a copy of the repository to run; None is this one."""
        self.data = data
        self.started = time.monotonic()
        self.log = (data.parent / f"{data.name}.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.cli", "up", "--data", str(data), *FREE_PORTS],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=tree,
        )

    @property
    def run(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.data / "run.json").read_text())
        return value

    @property
    def http(self) -> str:
        return str(self.run["http"])

    def pid(self, name: str) -> int:
        """Return the process id of a service; 0 while it is being replaced."""
        return int(self.run["pids"].get(name, 0))

    def wait_pid(self, name: str, other_than: int = 0) -> int:
        """Wait for a process id of a service that differs from ``other_than``, and return it."""
        wait_until(lambda: self.pid(name) not in (0, other_than), f"{name} runs")
        return self.pid(name)

    @property
    def admin_token(self) -> str:
        return (self.data / "admin.token").read_text().strip()

    def wait_ready(self, limit: float = 90) -> None:
        """Wait until every service has been ready. Raises TimeoutError or ChildProcessError."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            if self.process.poll() is not None:
                said = Path(self.log.name).read_text(errors="replace")[-2000:]
                raise ChildProcessError(f"rev up ended with {self.process.returncode}; {self.log.name} ends: {said}")
            if (self.data / "run.json").exists() and self.run["up"]:
                return
            time.sleep(0.02)
        raise TimeoutError(f"rev up was not ready in {limit} s; see {self.log.name}")

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Send one JSON request; return status and decoded body. ``key`` None is the admin token."""
        request = urllib.request.Request(
            self.http + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key or self.admin_token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def make_key(self, customer: str, test: bool = False) -> str:
        """Create an API key for a customer."""
        status, body = self.call("POST", "/api/admin/api-keys", {"customer_id": customer, "test": test})
        if status != 201:
            raise RuntimeError(f"no key for {customer}: {status} {body}")
        return str(body["api_key"])

    def sql(self, query: str) -> str:
        """Run one query as the analyst; return tab-separated text without the last newline."""
        user, password = self.run["analyst"]
        request = urllib.request.Request(
            self.run["clickhouse"] + "/?wait_end_of_query=1",
            data=query.encode(),
            headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.read().decode().rstrip("\n"))

    def stop(self) -> int:
        """Send SIGTERM and wait; return the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(30)
        self.log.close()
        return code


def wait_until(true: Any, what: str, limit: float = 60, every: float = 0.02) -> float:
    """Wait until ``true()`` holds; return the seconds taken. Raises TimeoutError naming ``what``."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > limit:
            raise TimeoutError(f"{what}: not within {limit} s")
        time.sleep(every)
    return time.monotonic() - began
