"""The running stack as a user of revgrid meets it: customers with keys, and the ledger to look at."""

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import revgrid

ROOT = Path(__file__).parents[3]
EXAMPLES = Path(__file__).parent / "examples"
KEY = "rg_..."
EXPIRES_AT, FUTURE = "2026-05-01T00:00:00Z", "2090-05-01T00:00:00Z"
SUBSTITUTIONS = "key; literal expires_at dates moved to the future; the host comes by REV_URL"
SECONDS = 60.0


class Here:
    """``url``: of the gateway. ``token``: its admin token."""

    def __init__(self, run: dict[str, Any]) -> None:
        self._run, self.url = run, str(run["http"])
        self.token = str(run["admin_token"])

    def key(self, customer_id: str) -> str:
        """A new API key of a customer."""
        return str(self.post("/api/admin/api-keys", {"customer_id": customer_id})["api_key"])

    def set_price(self, **price: Any) -> None:
        """Set a price."""
        self.post("/api/admin/pricing", price)

    def post(self, path: str, fields: dict[str, Any], key: str = "") -> Any:
        """The answer to a call with a key, or with the admin token. Raises HTTPError if it is refused."""
        return self._call(path, json.dumps(fields).encode(), key)

    def get(self, path: str, key: str) -> Any:
        """The answer to a read with a key. Raises HTTPError if it is refused."""
        return self._call(path, None, key)

    def _call(self, path: str, body: bytes | None, key: str) -> Any:
        headers = {"Authorization": f"Bearer {key or self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read())

    def entries(self, customer_id: str) -> list[tuple[str, ...]]:
        """kind, action, verdict and cents of what the ledger has of a customer, oldest first."""
        user, password = self._run["analyst"]
        query = (
            "SELECT kind, action, verdict, toString(total_cents) FROM rev.entries"
            f" WHERE customer_id = '{customer_id}' ORDER BY recorded_at, event_id"
        )
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        request = urllib.request.Request(self._run["clickhouse"] + "/", query.encode(), headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return [tuple(line.split("\t")) for line in answer.read().decode().splitlines()]

    def settled(self, client: revgrid.Rev, customer_id: str) -> list[tuple[str, ...]] | None:
        """What the ledger has of a customer up to a mark that is metered by the first call; None
        until the mark is there. A customer's entries are in order, so nothing before it can follow."""
        client.meter(agent_id="mark", action="ticket.classified", idempotency_key=f"mark-{customer_id}")
        entries = self.entries(customer_id)
        marks = [at for at, (_, action, _, _) in enumerate(entries) if action == "ticket.classified"]
        return entries[: marks[0]] if marks else None


def example(name: str, key: str) -> str:
    """An example of the reference with its substitutions made."""
    text = (EXAMPLES / f"{name}.txt").read_text(encoding="utf-8")
    return text.replace(KEY, key).replace(EXPIRES_AT, FUTURE)


class Program:
    """A program that runs; it says lines and is told lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def tell(self, line: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def rest(self) -> list[str]:
        """What else it says, until it has ended well."""
        out, errors = self._process.communicate()
        assert self._process.returncode == 0, errors
        return out.splitlines()


@contextmanager
def running(command: list[str], **env: str) -> Iterator[Program]:
    """A child process with an environment of its own, killed at the end or when it takes too long."""
    pipe, own = subprocess.PIPE, {"PATH": os.environ["PATH"], **env}
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", env=own)
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    with process:
        try:
            yield Program(process)
        finally:
            limit.cancel()
            process.kill()


def python(here: Here, script: str) -> Any:
    """Runs a Python program that finds revgrid, and the gateway by REV_URL."""
    env = {"PYTHONPATH": str(ROOT / "sdk" / "python"), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return running([sys.executable, "-c", script], **env, REV_URL=here.url)
