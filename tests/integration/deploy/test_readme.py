"""What README.md, docs/api.md and docs/outcomes.md say to paste, pasted."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench.running_stack import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


def blocks(page: str, heading: str) -> list[str]:
    """The fenced blocks of a page under a heading, up to the next one."""
    text = (ROOT / page).read_text()
    under = re.split(r"^##+ ", text.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```\w*\n(.*?)^```", under, re.DOTALL | re.MULTILINE)


def test_the_first_lines_give_the_price_they_show(stack: dict[str, Any]) -> None:
    """README's first event and every curl line of docs/api.md are answered as the page goes on to say."""
    _, pasted, shown = blocks("README.md", "## Start")
    answer = _run(pasted.replace("http://127.0.0.1:8080", stack["http"]).replace(".rev/", f"{stack['data']}/"))
    price = r'"price": ?\{.*?\}, ?"config": ?\{.*?\}'
    wanted = re.findall(r"[\w.]+", re.findall(r'"price":.*?\}', shown)[0])
    assert re.findall(r"[\w.]+", re.findall(price, answer)[0])[: len(wanted)] == wanted
    page = (ROOT / "docs" / "api.md").read_text()
    lines = re.findall(r"^    (curl (?:.*\\\n|.*[^']\n(?=           ))*.*)$", page, re.MULTILINE)
    assert len(lines) == page.count("    curl ") == 3
    setting = f"KEY=$(cat '{stack['data']}/demo.key'); REV={stack['http']}\n"
    answers = [json.loads(_run(setting + line.replace("-s ", "-sf ", 1))) for line in lines]
    assert answers[0]["price"]["total_cents"] == 1.47
    assert (answers[1]["customer_id"], answers[1]["period"]) == ("demo-corp", "7d")
    assert (answers[2]["task_id"], answers[2]["status"]) == ("task_abc123", "pending")


def test_the_lines_about_outcomes_do_what_they_say(stack: dict[str, Any]) -> None:
    """Registered, resolved, expired by itself, taken back, and the ledger shows the table that the page shows."""
    script, table = blocks("docs/outcomes.md", "## Try it")
    for shown, real in [
        ("http://127.0.0.1:8080", stack["http"]),
        ("http://127.0.0.1:8123", stack["clickhouse"]),
        (".rev/", f"{stack['data']}/"),
    ]:
        assert shown in script
        script = script.replace(shown, real)
    acting, looking = script.split("# All of it", 1)
    shown = _run(acting)
    assert shown.count('"status":"pending"') == 2 and '"status":"expired"' in shown
    # a loaded machine may need more than the second that the page waits
    wait_until(lambda: _run("#" + looking) == table, "the ledger shows the table", 60)


def _run(script: str) -> str:
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=False, cwd=ROOT, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
