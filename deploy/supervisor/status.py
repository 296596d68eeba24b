"""`rev status`: compares run.json with the processes themselves."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.kafka import broker
from deploy.supervisor import directory, probes
from deploy.supervisor.plan import SERVICES, service_of

READY, DEGRADED = "ready", "degraded"
COLOURS = {READY: "green", DEGRADED: "yellow"}
MOST = 200
"""Maximum characters of reasons in the table."""
PATHS = {**dict.fromkeys(SERVICES, "/readyz"), "clickhouse": "/ping"}


class StatusRow(NamedTuple):
    name: str
    state: str
    pid: int | None
    since: float | None
    """Unix seconds."""
    restarts: int
    address: str

    @property
    def kind(self) -> str:
        """Return the state without its reasons."""
        return self.state.partition(":")[0]


def run(data: Path, console: Console) -> int:
    """Print the table; return 0 if everything is ready, degraded or not, 1 if not, 3 if nothing runs there."""
    found = directory.read_json(data / directory.RUN)
    if not directory.is_owned(data) or not found:
        console.print(f"No `rev up` is running on {data}; `rev up --data {data}` starts one.")
        return 3
    rows = [row(found, name) for name in found["addresses"]]
    console.print(table(rows))
    return 0 if all(each.kind in COLOURS for each in rows) else 1


def row(found: dict[str, Any], name: str) -> StatusRow:
    """Return the current row of one child, from run.json, the process table and its own answer."""
    pid = found["pids"].get(name)
    alive = pid is not None and directory.birth(pid) == found["births"].get(name)
    address = found["addresses"][name]
    return StatusRow(
        name=name,
        state=_answer(name, address) if alive else "down, about to be restarted",
        pid=pid if alive else None,
        since=found["since"].get(name) if alive else None,
        restarts=found["restarts"].get(name, 0),
        address=address,
    )


def table(rows: list[StatusRow]) -> Table:
    made = Table(box=None, header_style="bold")
    for name in ("service", "state", "pid", "up since (UTC)", "restarts", "address"):
        made.add_column(name, no_wrap=name != "state", justify="right" if name in ("pid", "restarts") else "left")
    for each in rows:
        since = "" if each.since is None else f"{datetime.fromtimestamp(each.since, UTC):%Y-%m-%d %H:%M:%S}"
        state = Text(each.state, style=COLOURS.get(each.kind, "red"))
        pid = "" if each.pid is None else str(each.pid)
        made.add_row(each.name, state, pid, since, str(each.restarts), each.address)
    return made


def _answer(name: str, address: str) -> str:
    path = PATHS.get(service_of(name))
    if path is None:
        return READY if broker.answers(int(address.rpartition(":")[2]), probes.PATIENCE) else "not ready"
    url = urlsplit(address)
    status, body = probes.get(url.hostname or "", url.port or 80, path)
    if status != 200:
        return f"not ready: {state_of(body, 'reasons') or body[:MOST]}"
    lacking = state_of(body, DEGRADED)
    return f"{DEGRADED}: {lacking}" if lacking else READY


def state_of(body: str, member: str) -> str:
    """Return what a /readyz answer lists there, shortened to fit a table; empty if it has no such list."""
    try:
        found = json.loads(body)[member]
    except (ValueError, KeyError, TypeError):
        return ""
    return "; ".join(map(str, found))[:MOST]
