"""`rev status`: what run.json says, held against the processes themselves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from deploy.kafka import broker
from deploy.supervisor import directory, probes

PATHS = {"gateway": "/readyz", "pricer": "/readyz", "ledger": "/readyz", "clickhouse": "/ping"}


class Row(NamedTuple):
    name: str
    state: str
    pid: int | None
    since: float | None
    """Unix seconds."""
    restarts: int
    address: str


def run(data: Path, console: Console) -> int:
    """Print the table; 0 when everything is ready, 1 when not, 3 when nothing runs there."""
    found = directory.read_json(data / directory.RUN)
    if not directory.is_owned(data) or not found:
        console.print(f"No `rev up` is running on {data}.")
        return 3
    rows = [row(found, name) for name in found["addresses"]]
    console.print(table(rows))
    return 0 if all(each.state == "ready" for each in rows) else 1


def row(found: dict[str, Any], name: str) -> Row:
    """One child as it is now: run.json's word, the process table's, and its own."""
    pid = found["pids"].get(name)
    alive = pid is not None and directory.birth(pid) == found["births"].get(name)
    address = found["addresses"][name]
    return Row(
        name=name,
        state=_answer(name, address) if alive else "down, about to be restarted",
        pid=pid if alive else None,
        since=found["since"].get(name) if alive else None,
        restarts=found["restarts"].get(name, 0),
        address=address,
    )


def table(rows: list[Row]) -> Table:
    made = Table("service", "state", "pid", "up since", "restarts", "address", box=None, header_style="bold")
    for each in rows:
        since = "" if each.since is None else f"{datetime.fromtimestamp(each.since, UTC):%Y-%m-%d %H:%M:%SZ}"
        colour = "green" if each.state == "ready" else "red"
        pid = "" if each.pid is None else str(each.pid)
        made.add_row(each.name, f"[{colour}]{each.state}[/]", pid, since, str(each.restarts), each.address)
    return made


def _answer(name: str, address: str) -> str:
    if name not in PATHS:
        return "ready" if broker.answers(int(address.rpartition(":")[2]), probes.PATIENCE) else "not ready"
    url = urlsplit(address)
    status, body = probes.get(url.hostname or "", url.port or 80, PATHS[name])
    return "ready" if status == 200 else f"not ready: {body[:200]}"
