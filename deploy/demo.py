"""`make demo`: starts everything, sends made-up agent traffic through the public API and shows prices,
outcomes and their ledger lines (deploy/demo_outcomes.py).

It uses only what any customer has, the API and a key, plus the admin's void and the analyst's SQL.
With DEMO_ONCE=1 it then stops everything and fails if anything was not priced, for CI.
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
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from deploy import children, demo_outcomes, ports
from deploy.demo_outcomes import DemoRefused
from deploy.supervisor import demo_key, directory, plan

FIRST = 12
"""Number of events sent at once and shown as a table."""
START_LIMIT = 240.0
STORY_LIMIT = 30.0
"""Seconds within which an answer must be final and the last outcome closed."""
DEFAULT_PORTS = {"http": 8080, "kafka": 9092, "clickhouse": 8123}

Event = dict[str, Any]


class Habit(NamedTuple):
    """Behaviour of an agent of the made-up customer: what it does, how many tokens it takes (most often,
    and 0 for none), and how often it succeeds (None: nobody asks).
    """

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
    """Yield meter events without end."""
    while True:
        habit = rng.choices(HABITS, [each.share for each in HABITS])[0]
        event: Event = {"agent_id": habit.agent, "action": habit.action}
        if habit.tokens:
            event["tokens"] = round(habit.tokens * rng.lognormvariate(0, 0.5))
        if habit.success is not None:
            event["outcome"] = "success" if rng.random() < habit.success else "failure"
        yield event


class DemoResponse(NamedTuple):
    status: int
    body: dict[str, Any]
    milliseconds: float


def send(url: str, key: str, body: Event, idempotency_key: str) -> DemoResponse:
    """Send one POST; repeat it with the same key while its result is unknown."""
    while True:
        began = time.monotonic()
        try:
            return DemoResponse(*_post(url, key, body, idempotency_key), (time.monotonic() - began) * 1000)
        except OSError:  # the gateway is restarting
            time.sleep(0.2)


def ask(http: str, token: str, path: str, body: Event) -> dict[str, Any]:
    """Send one POST, repeat it while there is no final answer (503), and return the answer's body.

    Raises Refused.
    """
    name, until = secrets.token_hex(8), time.monotonic() + STORY_LIMIT
    while (answer := send(http + path, token, body, name)).status in (202, 503) and time.monotonic() < until:
        time.sleep(0.2)
    if answer.status not in (200, 201):
        raise DemoRefused(f"POST {path}: {answer.status} {answer.body}")
    return answer.body


def sql(run: dict[str, Any], query: str) -> list[list[str]]:
    """Run a query as the analyst and return the rows."""
    user, password = run["analyst"]
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    with urllib.request.urlopen(
        urllib.request.Request(run["clickhouse"], query.encode(), headers), timeout=15
    ) as found:
        return [line.split("\t") for line in found.read().decode().splitlines()]


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
    """Return a table that fits a terminal of 80 columns."""
    made = Table(title="What the agents did, and the price in each answer (cents)", box=None, padding=(0, 1, 0, 0))
    for name in ("agent", "action", ""):
        made.add_column(name, no_wrap=True)
    for name in ("tokens", "base", "+ tokens", "+ bonus", "= total", "ms"):
        made.add_column(name, justify="right", no_wrap=True, style="bold" if name == "= total" else None)
    return made


VERDICTS = {"success": "✓", "failure": "✗"}


def cells(event: Event, answer: DemoResponse) -> list[str]:
    """Return one row: the event, and the parts of its price from the answer."""
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
    """Yield run.json of a `rev up` on the directory: the running one, or one started here."""
    if directory.is_owned(data):
        yield _ready(data, None)
        return
    wanted = {name: port if ports.is_free(port) else 0 for name, port in DEFAULT_PORTS.items()}
    chosen = [word for name, port in wanted.items() for word in (f"--{name}", str(port))]
    command, env = plan.rev("up", "--data", str(data), *chosen), {"REV_DEMO": "1", **os.environ}
    process = children.spawn(command, env=env, stdout=sys.stdout.buffer)
    try:
        yield _ready(data, process)
    finally:
        process.terminate()
        process.wait()


def _ready(data: Path, process: subprocess.Popen[bytes] | None) -> dict[str, Any]:
    deadline = time.monotonic() + START_LIMIT
    while True:
        found = directory.read_json(data / directory.RUN)
        # what a killed supervisor left is useless: the next one may have other ports
        if found.get("up") and (process is None or found["supervisor"] == process.pid):
            return found
        if process is not None and process.poll() is not None:
            raise SystemExit(process.returncode or 1)
        if time.monotonic() > deadline:
            raise SystemExit(f"`rev up` did not start within {START_LIMIT:g} s; see {data / 'logs'}")
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
                raise SystemExit(f"the gateway did not return a demo key; see {data / 'logs' / 'gateway.log'}")
            secret = key.read_text().strip()
            events, visit = traffic(random.Random(2026)), secrets.token_hex(4)
            done = _first(run["http"], secret, events, visit, console)
            done = _outcomes(run, secret, (data / "admin.token").read_text().strip(), visit, console) and done
            console.print(
                f"All of it is in the ledger: {run['http']}/v1/usage, /v1/events, /v1/outcomes", soft_wrap=True
            )
            if os.environ.get("DEMO_ONCE") != "1":
                _more(run["http"], secret, events, visit, console)
    except KeyboardInterrupt:
        return 0
    except DemoRefused as error:
        raise SystemExit(str(error)) from error
    return 0 if done else 1


def _first(http: str, key: str, events: Iterator[Event], visit: str, console: Console) -> bool:
    """Send the first events; return True if all were priced."""
    shown, priced = table(), 0
    for number in range(FIRST):
        event = next(events)
        answer = send(f"{http}/v1/meter", key, event, f"demo-{visit}-{number}")
        shown.add_row(*cells(event, answer))
        priced += answer.status == 201
    console.print(shown)
    return priced == FIRST


def _outcomes(run: dict[str, Any], key: str, token: str, visit: str, console: Console) -> bool:
    """Show the story of outcomes, wait for the one that expires; return True if the ledger has all of it."""
    now, shown, outcomes = datetime.now(UTC), demo_outcomes.received_table(), []
    soon, later = ((now + timedelta(seconds=ahead)).isoformat() for ahead in (3, 7 * 86400))
    customer, admin = partial(ask, run["http"], key), partial(ask, run["http"], token)
    for told in demo_outcomes.story(customer, admin, visit, soon, later):
        shown.add_row(told.request, told.words, told.result)
        outcomes.append(told.outcome)
    console.print(shown)
    if run["analyst"] is None:
        return True
    until, query = time.monotonic() + STORY_LIMIT, demo_outcomes.lines_query(sorted(set(outcomes)))
    while not demo_outcomes.is_over(lines := sql(run, query), outcomes) and time.monotonic() < until:
        time.sleep(0.2)
    console.print(demo_outcomes.lines_table(lines))
    return demo_outcomes.is_over(lines, outcomes)


def _more(http: str, key: str, events: Iterator[Event], visit: str, console: Console) -> None:
    """Send one event a second until Ctrl-C."""
    console.print("More events follow, one a second, until Ctrl-C.", style="dim")
    for number, event in enumerate(events, FIRST):
        time.sleep(1)
        answer = send(f"{http}/v1/meter", key, event, f"demo-{visit}-{number}")
        row = cells(event, answer)
        console.print(f"  {row[0]:<16}{row[1]:<20}{row[3]:>8} tokens  {row[7]:>12} ¢  {row[8]:>4} ms", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
