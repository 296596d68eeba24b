"""Entry points of `rev up` and `rev status` for the command line."""

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
    """Run until stopped; return the exit code. ``wanted``: ports of http, kafka, clickhouse."""
    screen = Screen(Console())
    ours = {"http": wanted["http"], **dict.fromkeys(plan.own_ports(settings.gateways), 0)}
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
    # A pipe has no width limit, so nothing is cut.
    return statuses.run(data, console if console.is_terminal else Console(width=160))


def _prepare_kafka() -> None:
    """Fetch the jars with a progress bar; each start of the broker checks them in any case."""
    if not starting.is_prepared(os.environ):
        with bar() as progress:
            starting.command(os.environ, progress)
