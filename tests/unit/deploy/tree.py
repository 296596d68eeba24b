"""The packages of the product and their modules, for the tests that read the tree."""

from pathlib import Path

ROOT = Path(__file__).parents[3]
PACKAGES = (
    *("schemas", "streams", "warehouse", "ingest", "pricer", "ledger", "expirer", "notifier", "collector", "web"),
    *("deploy", "tools"),
)


def modules(*packages: str) -> list[Path]:
    """Return every Python file of these directories."""
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]
