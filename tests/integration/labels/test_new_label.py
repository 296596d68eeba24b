"""One label more, end to end: a copy of the tree gains `region` by a line in schemas/labels.py and a migration.

What else knows it follows: body, command, log, ledger, reads, import, verify, client libraries and docs. The test
counts the files that a person has to touch (docs/decisions/0033-labels.md).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.children import spawn
from deploy.supervisor.directory import read_json

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[3]
START_LIMIT = 120.0
LINE = "    trace_id: Annotated[str | None, TRACE] = None\n"
ADDED = LINE + '    region: Annotated[str | None, About("where it ran", headers=("zone",))] = None\n'
MIGRATION = """ALTER TABLE rev.entries ADD COLUMN IF NOT EXISTS region LowCardinality(String);
"""
BY_HAND = {"schemas/labels.py", "warehouse/sql/migrations/005_region.sql"}
"""…and a test of it, and the changelog: four."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git knows of this tree."""
    copy = tmp_path_factory.mktemp("label") / "rev"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    subprocess.run("git init -q && git add -A", cwd=copy, shell=True, check=True)
    return copy


@pytest.fixture(scope="module")
def run(tree: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A program of the copy."""
    env = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'sdk' / 'python'}"}

    def call(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], cwd=tree, env=env, capture_output=True, text=True, check=True, **more
        )

    return call


def changed(tree: Path) -> set[str]:
    told = subprocess.run(["git", "status", "--porcelain"], cwd=tree, capture_output=True, check=True, text=True).stdout
    return {line[3:] for line in told.splitlines() if line[1] != " "}


@pytest.fixture(scope="module")
def labelled(tree: Path, run: Callable[..., Any]) -> set[str]:
    """The copy has the label; the files that were touched by hand."""
    path = tree / "schemas" / "labels.py"
    text = path.read_text()
    assert text.count(LINE) == 1
    path.write_text(text.replace(LINE, ADDED))
    (tree / "warehouse" / "sql" / "migrations" / "005_region.sql").write_text(MIGRATION)
    by_hand = changed(tree)
    written = run("-m", "tools.generate").stdout
    assert changed(tree) - by_hand == set(re.findall(r"written: (\S+)", written))
    return by_hand


@pytest.fixture(scope="module")
def product(tree: Path, labelled: set[str]) -> Iterator[dict[str, Any]]:
    """A `rev up` of the copy."""
    data = tree / "data"
    env = {**os.environ, "PYTHONPATH": str(tree)}
    log = tree / "up.log"
    ports = ["--http", "0", "--kafka", "0", "--clickhouse", "0"]
    with log.open("wb") as output:
        process = spawn(
            [sys.executable, "-m", "tools.cli", "up", "--data", str(data), *ports],
            stdout=output, stderr=output, env=env, cwd=tree,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_LIMIT
        while not (up := read_json(data / "run.json")).get("up"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"rev up did not come up:\n{log.read_text()[-4000:]}")
            time.sleep(0.05)
        yield {**up, "data": data, "token": (data / "admin.token").read_text().strip()}
    finally:
        process.terminate()
        process.wait(30)


def ask(product: dict[str, Any], path: str, secret: str, body: object = None) -> Any:
    request = urllib.request.Request(
        product["http"] + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def refused(product: dict[str, Any], key: str, event: object) -> tuple[int, str]:
    """Status and error of a meter request that is not taken."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        ask(product, "/v1/meter", key, event)
    with raised.value as response:
        return response.status, json.load(response)["error"]


def test_files_touched_by_hand(labelled: set[str]) -> None:
    assert labelled == BY_HAND


async def test_a_label_end_to_end(
    tree: Path, run: Callable[..., Any], product: dict[str, Any], eventually: Callable[..., Any]
) -> None:
    """Metered, imported, taken back, shown, verified; kept by an outcome; too long is a 400 that names it."""
    key = ask(product, "/api/admin/api-keys", product["token"], {"customer_id": "acme"})["api_key"]
    event = {"agent_id": "a", "action": "completion", "tokens": 5, "region": "eu", "outcome": "pending"}
    first = ask(product, "/v1/meter", key, {**event, "idempotency_key": "k"})
    again = ask(product, "/v1/meter", key, {**event, "idempotency_key": "k"})
    assert again["event_id"] == first["event_id"]
    assert refused(product, key, {**event, "idempotency_key": "k", "region": "us"})[0] == 409
    status, error = refused(product, key, {**event, "region": "x" * 300})
    assert status == 400 and "region" in error

    def shown(event_id: int) -> Any:
        return ask(product, f"/v1/events/{event_id}", key)

    await eventually(lambda: shown(first["event_id"])["status"] == "priced")
    assert shown(first["event_id"])["region"] == "eu" and shown(first["event_id"])["model"] is None
    ended = ask(product, f"/v1/outcomes/{first['outcome_id']}/resolve", key, {"success": True})
    assert ended["status"] == "succeeded"
    (tree / "usage.csv").write_text("zone,tokens,agent_id,action\nmars,7,a,completion\n")
    run("-m", "tools.cli", "import", "usage.csv", "--url", product["http"], "--key", key, "--yes")
    (listed,) = [one for one in ask(product, "/v1/events", key)["events"] if one["region"] == "mars"]
    ask(product, f"/api/admin/events/{listed['event_id']}/void", product["token"], {"reason": "test"})
    sdk = "import sys, revgrid; print(revgrid.Rev(sys.argv[1], sys.argv[2]).event(int(sys.argv[3])).region)"
    assert run("-c", sdk, key, product["http"], str(listed["event_id"])).stdout.strip() == "mars"
    verified = run("-m", "tools.cli", "verify", "--data", str(product["data"]))
    assert "Log and ledger agree" in verified.stdout
    for path in ("docs/api.md", "docs/import.md", "docs/ledger.md", "sdk/js/index.d.ts", "warehouse/sql/schema.sql"):
        assert re.search(r"\bregion\b", (tree / path).read_text()), path
