"""`make demo`: starts everything, sends made-up agent traffic through the public API, shows prices.

Only what any customer has is used: the API and a key. With DEMO_ONCE=1 it stops everything
after the first events and fails if one was not priced, for CI.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from deploy import children, ports
from deploy.supervisor import demo_key, directory, plan

FIRST = 12
"""Events that are sent at once and shown as a table."""
START_LIMIT = 120.0
DEFAULT_PORTS = {"http": 8080, "kafka": 9092, "clickhouse": 8123}

Event = dict[str, Any]


class Habit(NamedTuple):
    """What an agent of the made-up customer does, how many tokens it takes (most often, and
    0 for none), and how often it succeeds (None: nobody asks)."""

    agent: str
    action: str
    tokens: int
    success: float | None
    share: int


HABITS = [
    Habit("agent-copilot", "completion", 2400, 0.9, 30),
    Habit("agent-copilot", "chat", 900, None, 20),
    Habit("agent-support", "ticket.classified", 600, None, 12),
    Habit("agent-support", "email.sent", 0, 0.15, 6),
    Habit("agent-research", "search", 0, 0.8, 12),
    Habit("agent-research", "embedding", 7000, None, 8),
    Habit("agent-research", "research.complete", 48_000, None, 4),
    Habit("agent-sdr", "lead.qualified", 3200, 0.2, 4),
    Habit("agent-studio", "image_gen", 0, 0.95, 2),
    Habit("agent-studio", "tool_call", 300, 0.97, 2),
]


def traffic(rng: random.Random) -> Iterator[Event]:
    """Meter events without end."""
    while True:
        habit = rng.choices(HABITS, [each.share for each in HABITS])[0]
        event: Event = {"agent_id": habit.agent, "action": habit.action}
        if habit.tokens:
            event["tokens"] = round(habit.tokens * rng.lognormvariate(0, 0.5))
        if habit.success is not None:
            event["outcome"] = "success" if rng.random() < habit.success else "failure"
        yield event


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]
    milliseconds: float


def send(http: str, key: str, event: Event, idempotency_key: str) -> Answer:
    """Meter one event; the same key is sent again for as long as nobody can say what became of it."""
    while True:
        began = time.monotonic()
        try:
            return Answer(*_post(f"{http}/v1/meter", key, event, idempotency_key), (time.monotonic() - began) * 1000)
        except OSError:  # the gateway is being restarted
            time.sleep(0.2)


def _post(url: str, key: str, event: Event, idempotency_key: str) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(event).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.loads(answer.read(), parse_float=str)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def table() -> Table:
    """Fits a terminal of 80 columns."""
    made = Table(title="What the agents did, and the price in each answer (cents)", box=None, padding=(0, 1, 0, 0))
    for name in ("agent", "action", ""):
        made.add_column(name, no_wrap=True)
    for name in ("tokens", "base", "+ tokens", "+ bonus", "= total", "ms"):
        made.add_column(name, justify="right", no_wrap=True, style="bold" if name == "= total" else None)
    return made


VERDICTS = {"success": "✓", "failure": "✗"}


def cells(event: Event, answer: Answer) -> list[str]:
    """One row: the event, and the parts of its price as the answer has them."""
    verdict = VERDICTS.get(event.get("outcome", ""), "")
    known = [event["agent_id"], event["action"], verdict, f"{event.get('tokens', 0):,}"]
    took = f"{answer.milliseconds:.0f}"
    if answer.status != 201:
        return [*known, "", "", "", f"({answer.status})", took]
    price = answer.body["price"]
    parts = ("base_rate_cents", "token_charge_cents", "outcome_bonus_cents")
    return [*known, *(str(price["breakdown"][part]) for part in parts), str(price["total_cents"]), took]


@contextmanager
def stack(data: Path) -> Iterator[dict[str, Any]]:
    """run.json of a `rev up` on the directory: the one that runs there, or one of our own."""
    if directory.is_owned(data):
        yield _ready(data, None)
        return
    wanted = {name: port if ports.is_free(port) else 0 for name, port in DEFAULT_PORTS.items()}
    chosen = [word for name, port in wanted.items() for word in (f"--{name}", str(port))]
    process = children.spawn(plan.rev("up", "--data", str(data), *chosen), stdout=sys.stdout.buffer)
    try:
        yield _ready(data, process)
    finally:
        process.terminate()
        process.wait()


def _ready(data: Path, process: subprocess.Popen[bytes] | None) -> dict[str, Any]:
    deadline = time.monotonic() + START_LIMIT
    while True:
        found = directory.read_json(data / directory.RUN)
        if found.get("up"):
            return found
        if process is not None and process.poll() is not None:
            raise SystemExit(process.returncode or 1)
        if time.monotonic() > deadline:
            raise SystemExit(f"`rev up` was not up within {START_LIMIT:g} s; see {data / 'logs'}")
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".rev"))
    data = parser.parse_args().data.absolute()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    try:
        with stack(data) as run:
            key = data / demo_key.FILE
            if not key.exists():
                raise SystemExit(f"the gateway gave no demo key; see {data / 'logs' / 'gateway.log'}")
            priced = _feed(run["http"], key.read_text().strip(), console)
    except KeyboardInterrupt:
        return 0
    return 0 if priced == FIRST else 1


def _feed(http: str, key: str, console: Console) -> int:
    """Send the first events and, but for DEMO_ONCE, more until Ctrl-C; how many of the first were priced."""
    events, visit = traffic(random.Random(2026)), secrets.token_hex(8)
    shown, priced = table(), 0
    for number in range(FIRST):
        event = next(events)
        answer = send(http, key, event, f"demo-{visit}-{number}")
        shown.add_row(*cells(event, answer))
        priced += answer.status == 201
    console.print(shown)
    console.print(f"All of it is in the ledger: {http}/v1/usage and {http}/v1/events", soft_wrap=True, highlight=False)
    if os.environ.get("DEMO_ONCE") == "1":
        return priced
    console.print("More events follow, one a second, until Ctrl-C.", style="dim")
    for number, event in enumerate(events, FIRST):
        time.sleep(1)
        answer = send(http, key, event, f"demo-{visit}-{number}")
        row = cells(event, answer)
        console.print(f"  {row[0]:<16}{row[1]:<20}{row[3]:>8} tokens  {row[7]:>12} ¢  {row[8]:>4} ms", highlight=False)
    return priced


if __name__ == "__main__":
    sys.exit(main())
