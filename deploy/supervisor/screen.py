"""Terminal output of `rev up`: words and colours only. This module makes no decisions."""

import json
import shlex
from datetime import datetime
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from deploy.supervisor.plan import ProcessPlan
from schemas.settings import Settings

EXAMPLE = {"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}

OPEN = {
    "open_admin": "REV_OPEN_ADMIN=1: anyone who reaches this address can create keys and set prices.",
    "public_dashboard": "REV_PUBLIC_DASHBOARD=1: anyone who reaches this address can read all revenue.",
}


class Screen:
    def __init__(self, console: Console) -> None:
        self._console = console

    def starting(self, data: Path) -> None:
        self._line("Starting Rev in ", (str(data), "bold"))

    def ready(self, name: str, address: str, seconds: float) -> None:
        self._line(("  ✓ ", "green"), f"{name:<11}{address}", (f"  {seconds:.1f} s", "dim"))

    def changed(self, sentence: str) -> None:
        now = datetime.now()  # noqa: DTZ005 - the reader's wall clock
        self._line((f"  {now:%H:%M:%S} ", "dim"), (sentence, "yellow"))

    def failed(self, sentence: str) -> None:
        self._line(("  ✗ ", "bold red"), sentence)

    def _line(self, *parts: str | tuple[str, str]) -> None:
        # Never wrapped: it may go to a log, or be a path to copy.
        self._print(Text.assemble(*parts), soft_wrap=True)

    def _print(self, what: RenderableType, *, soft_wrap: bool = False) -> None:
        """Print, and go silent if the reader of the output is gone: supervision must go on."""
        try:
            self._console.print(what, soft_wrap=soft_wrap)
        except (OSError, SystemExit):  # rich turns a broken pipe into SystemExit
            self._console = Console(quiet=True)

    def stopping(self) -> None:
        self._print(Text("Stopping …", style="dim"))

    def stopped(self) -> None:
        self._print(Text("Stopped. All data is kept.", style="dim"))

    def up(self, plan: ProcessPlan, settings: Settings, key_file: Path | None, seconds: float) -> None:
        for name, warning in OPEN.items():
            if getattr(settings, name):
                self._print(Panel(Text(warning, style="bold red"), title="OPEN", border_style="red"))
        self._print(Panel(self._addresses(plan), title=f"Rev is up ({seconds:.1f} s)", border_style="green"))
        if key_file is None:
            self._print(
                Text(f"  The demo key could not be created; see {plan.data / 'logs' / 'gateway.log'}", style="yellow")
            )
            return
        self._print(Text("Meter an event and see its price:", style="bold"))
        # Never wrapped: it is meant to be pasted.
        self._print(Text(curl(plan.http, key_file)), soft_wrap=True)
        self._print(Text("Ctrl-C stops everything and keeps all data.", style="dim"))

    def _addresses(self, plan: ProcessPlan) -> Group:
        table = Table.grid(padding=(0, 2))
        table.add_row("API", Text(plan.http, style="bold"))
        table.add_row("Dashboard", f"{plan.http}/dashboard")
        table.add_row("Kafka", plan.kafka)
        analyst = f"  (analysts: user and password in {plan.data / 'run.json'})" if plan.embedded else ""
        table.add_row("ClickHouse", plan.clickhouse + analyst)
        table.add_row("Admin token", str(plan.data / "admin.token"))
        table.add_row("Logs", str(plan.data / "logs"))
        return Group(table)


def curl(http: str, key_file: Path) -> str:
    """Return a POSIX shell command that meters one event as the demo customer."""
    key = f'"Authorization: Bearer $(cat {shlex.quote(str(key_file.absolute()))})"'
    body = shlex.quote(json.dumps(EXAMPLE, separators=(",", ":")))
    return f"curl -sSw '\\n' {http}/v1/meter -H {key} -H 'Content-Type: application/json' -d {body}"
