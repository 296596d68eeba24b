"""Undo, own ids, modes and customers of an import, on a running stack."""

import asyncio
import json
import re
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
SET = ("--set", "action=completion")


class Rev:
    """The running stack as an importer's user sees it."""

    def __init__(self, stack: dict[str, Any]) -> None:
        self.http, self.token, self.stack = stack["http"], stack["admin_token"], stack

    def call(self, method: str, path: str, token: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.http + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read(), parse_float=Decimal)

    def key(self, customer: str, test: bool = False) -> str:
        made = self.call("POST", "/api/admin/api-keys", self.token, {"customer_id": customer, "test": test})
        return str(made["api_key"])

    def cents(self, key: str, customer: str | None = None) -> tuple[int, Decimal]:
        """Events and cents by /v1/usage."""
        query = "" if customer is None else f"&customer_id={customer}"
        summary = self.call("GET", f"/v1/usage?period=24h{query}", key)["summary"]
        return summary["total_events"], Decimal(summary["total_cents"])

    async def run(self, *arguments: str, key: str) -> tuple[int, str]:
        """A command; its exit code and all that it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tools.cli", *arguments, "--url", self.http, "--key", key,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode is not None
        return process.returncode, out.decode()


@pytest.fixture
def rev(stack: dict[str, Any]) -> Rev:
    return Rev(stack)


async def test_a_wrong_import_is_undone_and_done_right(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """Billed at 0 tokens; another mapping is refused; undone by file, and again; done right; undone by id."""
    key = rev.key("undo-wrong")
    path = tmp_path / "a.csv"
    path.write_text("promt,agent\n" + "".join(f"{n},a\n" for n in range(1, 2501)))
    wrong, right = ("--map", "tokens=", *SET), ("--map", "tokens=promt", *SET)
    undo = ("--undo", "--token", rev.token)
    code, out = await rev.run("import", str(path), *wrong, key=key)
    assert code == 0, out
    await eventually(lambda: rev.cents(key) == (2500, 1250))
    code, out = await rev.run("import", str(path), *right, key=key)
    assert code == 2 and "was imported before with tokens 0" in out, out
    for _ in range(2):
        code, out = await rev.run("import", str(path), *undo, key=key)
        assert code == 0, out
        assert rev.cents(key) == (0, 0)
    total = 2500 * Decimal("0.5") + sum(range(2501)) * Decimal("0.0003")
    for _ in range(2):
        code, out = await rev.run("import", str(path), *right, key=key)
        assert code == 0, out
        await eventually(lambda: rev.cents(key) == (2500, total))
    code, out = await rev.run("imports", key=key)
    found = re.search(r"imp_[0-9a-f]{20}", out)
    assert code == 0 and found is not None and "5,000" in out, out
    code, out = await rev.run("import", found[0], *undo, key=key)
    assert (code, rev.cents(key)) == (0, (0, 0)), out


async def test_an_undo_that_is_killed_is_finished_by_repeating_it(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """Some are voided, some are not; again voids the rest, each once."""
    key = rev.key("undo-killed")
    path = tmp_path / "a.csv"
    path.write_text("tokens\n" + "7\n" * 3000)
    code, out = await rev.run("import", str(path), *SET, key=key)
    assert code == 0, out
    await eventually(lambda: rev.cents(key)[0] == 3000)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.cli", "import", str(path), "--undo", "--token", rev.token,
        "--url", rev.http, "--key", key, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await eventually(lambda: rev.cents(key)[0] < 3000)
    process.kill()
    await process.wait()
    code, out = await rev.run("import", str(path), "--undo", "--token", rev.token, key=key)
    assert (code, rev.cents(key)) == (0, (0, 0)), out
    (one,) = rev.call("GET", "/v1/imports", key)["imports"]
    assert (one["events"], one["voided_events"], one["total_cents"]) == (3000, 3000, 0)


async def test_what_outcomes_of_an_import_charged_is_undone_too(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """A pending row that succeeded since: base and bonus are taken back."""
    key = rev.key("undo-outcome")
    path = tmp_path / "a.csv"
    path.write_text("tokens,outcome\n0,pending\n0,success\n")
    code, out = await rev.run("import", str(path), "--set", "action=email.sent", key=key)
    assert code == 0, out
    await eventually(lambda: rev.cents(key) == (2, 502))
    events = rev.call("GET", "/v1/events", key)["events"]
    (outcome,) = [event["outcome_id"] for event in events if event["outcome_id"]]
    rev.call("POST", f"/v1/outcomes/{outcome}/resolve", key, {"success": True})
    await eventually(lambda: rev.cents(key) == (2, 1002))
    code, out = await rev.run("import", str(path), "--undo", "--token", rev.token, key=key)
    assert (code, rev.cents(key)) == (0, (0, 0)), out


async def test_overlapping_exports_charge_each_row_once(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """With the file's own ids as keys, beside events of the API with the same ids."""
    key = rev.key("own-ids")
    event = {"agent_id": "import", "action": "completion", "tokens": 3, "idempotency_key": "e3"}
    rev.call("POST", "/v1/meter", key, event)
    for end in (10, 1500, 2200):
        path = tmp_path / f"{end}.csv"
        path.write_text("id,tokens\n" + "".join(f"e{n},{n}\n" for n in range(end)))
        code, out = await rev.run("import", str(path), "--map", "idempotency_key=id", *SET, key=key)
        assert code == 0, out
        wanted = end, end * Decimal("0.5") + sum(range(end)) * Decimal("0.0003")
        await eventually(lambda wanted=wanted: rev.cents(key) == wanted)


async def test_a_file_that_was_tried_is_charged_live(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """A test key first: the live import of the same file charges all the same, and each once."""
    live, test = rev.key("import-modes"), rev.key("import-modes", test=True)
    path = tmp_path / "a.jsonl"
    path.write_text('{"tokens": 1000}\n' * 20)
    for key in (test, live, test, live):
        code, out = await rev.run("import", str(path), *SET, key=key)
        assert code == 0, out
    for key in (test, live):
        await eventually(lambda key=key: rev.cents(key) == (20, 16))


async def test_a_platform_charges_each_row_to_its_customer(rev: Rev, tmp_path: Path, eventually: Any) -> None:
    """By the column customer_id, unseen customers included, who are listed then."""
    key = rev.key("*")
    path = tmp_path / "a.csv"
    path.write_text("customer_id,tokens\nimport-a,1000\nimport-b,2000\nimport-a,3000\n")
    for _ in range(2):
        code, out = await rev.run("import", str(path), *SET, key=key)
        assert code == 0, out
    await eventually(lambda: rev.cents(key, "import-a") == (2, Decimal("2.2")))
    await eventually(lambda: rev.cents(key, "import-b") == (1, Decimal("1.1")))
    listed = rev.call("GET", "/api/admin/customers?limit=1000", rev.token)["customers"]
    assert {"import-a", "import-b"} <= {one["customer_id"] for one in listed if one["metered"]}


async def test_a_dry_run_on_a_stack_charges_nothing(rev: Rev, tmp_path: Path) -> None:
    """And says what it would cost by the prices of now."""
    key = rev.key("import-dry")
    path = tmp_path / "a.csv"
    path.write_text("tokens\n1000\n2000\n")
    code, out = await rev.run("import", str(path), "--dry-run", *SET, key=key)
    assert code == 0 and bool(re.search(r"total_cents +1\.9\b", out)) and "Nothing was charged" in out, out
    assert rev.cents(key) == (0, 0)


@pytest.mark.parametrize("first", [(), ("--map", "idempotency_key=id")])
async def test_other_keys_right_after_the_first_are_refused(rev: Rev, tmp_path: Path, first: Any) -> None:
    """The first command ends when the ledger shows its import, so the next one sees it."""
    key = rev.key(f"import-keys-{len(first)}")
    path = tmp_path / "a.csv"
    path.write_text("id,tokens\n" + "".join(f"e{n},{n}\n" for n in range(1500)))
    second = () if first else ("--map", "idempotency_key=id")
    code, out = await rev.run("import", str(path), *SET, *first, key=key)
    assert code == 0, out
    code, out = await rev.run("import", str(path), *SET, *second, key=key)
    assert code == 2 and "1,500 events of this file were charged" in out, out
    assert rev.cents(key)[0] == 1500


async def test_a_platform_repeats_undoes_and_never_doubles(rev: Rev, tmp_path: Path) -> None:
    """A row without a customer, a name that no customer can have, other customers the second time."""
    key = rev.key("*")
    path = tmp_path / "a.csv"
    path.write_text("customer_id,who,tokens\nplat-a,plat-c,1000\n,plat-c,5\nplat-b,plat-c,2000\n_x,plat-c,7\n")
    wanted = [("plat-a", 1, Decimal("0.8")), ("plat-b", 1, Decimal("1.1")), ("plat-c", 0, 0)]
    for _ in range(2):
        code, out = await rev.run("import", str(path), *SET, key=key)
        assert code == 1, out
        assert [(name, *rev.cents(key, name)) for name, *_ in wanted] == wanted
    for other in (("--map", "customer_id=who"), ("--map", "customer_id=", "--customer", "plat-c")):
        code, out = await rev.run("import", str(path), *SET, *other, key=key)
        assert code == 2 and "undo that import first" in out, out
    code, out = await rev.run("import", str(path), "--undo", "--token", rev.token, key=key)
    assert code == 0 and "plat-a" in out and "plat-b" in out, out
    assert [rev.cents(key, name) for name, *_ in wanted] == [(0, 0)] * 3
