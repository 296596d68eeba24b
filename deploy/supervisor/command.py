"""`rev up` and `rev status` as the command line calls them: the edge of the supervisor."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from deploy.kafka import jars, starting
from deploy.kafka.progress import bar
from deploy.supervisor import directory, plan
from deploy.supervisor import status as statuses
from deploy.supervisor import up as ups
from deploy.supervisor.screen import Screen
from schemas.settings import Settings


def up(settings: Settings, wanted: Mapping[str, int]) -> int:
    """Run until stopped; the exit code. ``wanted``: ports of http, kafka, clickhouse."""
    screen = Screen(Console())
    ours = {"http": wanted["http"], **{name: 0 for name in plan.SERVICES if name != "gateway"}}
    try:
        if plan.is_embedded(os.environ):
            ours |= {name: wanted[name] for name in ("kafka", "clickhouse")}
            _prepare_kafka()
        return ups.run(settings, ours, os.environ, screen)
    except (directory.Occupied, jars.JarError) as error:
        print(f"rev up: {error}", file=sys.stderr)
        return 2


def status(data: Path) -> int:
    console = Console()
    # In a pipe there is no width to fit, so nothing need be cut.
    return statuses.run(data, console if console.is_terminal else Console(width=160))


def _prepare_kafka() -> None:
    """With a bar for whoever waits; each start of the broker checks its jars in any case."""
    if not starting.is_prepared(os.environ):
        with bar() as progress:
            starting.command(os.environ, progress)
