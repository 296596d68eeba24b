"""The packages of the product and their modules, for the tests that read the tree."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = (
    *("schemas", "streams", "warehouse", "ingest", "pricer", "ledger", "expirer", "notifier", "collector", "web"),
    *("deploy", "tools"),
)


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a Python file."""
    return ast.parse(path.read_text())


def modules(*packages: str) -> list[Path]:
    """Return every Python file of these directories."""
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]
