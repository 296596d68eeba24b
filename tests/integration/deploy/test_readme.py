"""What README.md says to paste, pasted."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.running import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def blocks(heading: str) -> list[str]:
    """The fenced blocks under a heading, up to the next one."""
    text = (ROOT / "README.md").read_text()
    under = re.split(r"^##+ ", text.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```\w*\n(.*?)^```", under, re.DOTALL | re.MULTILINE)


def test_the_lines_about_outcomes_do_what_they_say(stack: dict[str, Any]) -> None:
    """Registered, resolved, expired by itself, taken back, and the ledger shows the table that the page shows."""
    script, table = blocks("### Outcomes")
    for shown, real in [
        ("http://127.0.0.1:8080", stack["http"]),
        ("http://127.0.0.1:8123", stack["clickhouse"]),
        (".rev/", f"{stack['data']}/"),
    ]:
        assert shown in script
        script = script.replace(shown, real)
    acting, looking = script.split("# All of it", 1)
    shown = _run(f"KEY=$(cat '{stack['data']}/demo.key')\n" + acting)
    assert shown.count('"status":"pending"') == 2 and '"status":"expired"' in shown
    # a loaded machine may need more than the second that the page waits
    wait_until(lambda: _run("#" + looking) == table, "the ledger shows the table", 60)


def _run(script: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
