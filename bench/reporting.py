"""What benchmarks print, and the file in bench/results that keeps their figures with the commit and the machine."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
console = Console()


def show(title: str, figures: Mapping[str, float]) -> None:
    """Print figures as a table."""
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    console.print(table)


def commit(checkout: Path = Path()) -> str:
    """Return the short hash of the commit that is checked out."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def machine() -> dict[str, Any]:
    """Return the machine that the figures were taken on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {"cores": os.cpu_count(), "cpu": model, "python": platform.python_version()}


def keep(kind: str, found: Mapping[str, Any], measured: str | None = None) -> None:
    """Write what was found to bench/results. ``measured``: the commit, where another one may be checked out by now."""
    measured = measured or commit()
    date = time.strftime("%Y-%m-%d")
    path = RESULTS / f"{date}-{measured}{f'-{kind}' if kind else ''}.json"
    about = {"commit": measured, "date": date, "machine": machine()}
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps({**about, **found}, indent=1) + "\n")
    console.print(f"kept in bench/results/{path.name}")
