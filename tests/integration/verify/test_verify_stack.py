"""`rev verify` as a process of its own over a whole `rev up` with mixed traffic."""

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.running_stack import RunningStack, wait_until

pytestmark = pytest.mark.integration

CUSTOMER = "verify-mixed"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack of its own, since one test lies in its ledger."""
    made = RunningStack(tmp_path_factory.mktemp("verify") / "data")
    try:
        made.wait_ready()
        _traffic(made)
        yield made
    finally:
        made.stop()


def _traffic(running: RunningStack) -> None:
    """Charges, replays, conflicts, pending events, prices that change, test and revoked keys."""
    key = running.make_key(CUSTOMER)
    other = running.make_key("verify-other")

    def meter(token: str, status: int, **event: Any) -> None:
        body = {"agent_id": "a", "action": "completion", **event}
        assert running.call("POST", "/v1/meter", body, token)[0] == status

    def batch(token: str, status: int, *events: dict[str, Any]) -> None:
        body = {"events": [{"agent_id": "a", "action": "chat", **event} for event in events]}
        assert running.call("POST", "/v1/meter/batch", body, token)[0] == status

    def price(action: str, base: Any, customer: str | None = None) -> None:
        body = {"action_type": action, "base_rate_cents": base, "token_rate_cents": 0.0001}
        body |= {} if customer is None else {"customer_id": customer}
        assert running.call("POST", "/api/admin/pricing", body)[0] == 201

    meter(key, 201, tokens=2400, outcome="success")
    meter(key, 201, tokens=1, outcome="pending", metadata={"b": [1.50], "a": "ü"})
    for _ in range(3):
        meter(key, 201, tokens=7, idempotency_key="k", metadata={"n": 1})
    meter(key, 409, tokens=8, idempotency_key="k")
    batch(key, 409, {"tokens": 1}, {"idempotency_key": "k"})
    batch(key, 201, *({"tokens": i, "idempotency_key": f"b{i}"} for i in range(500)))
    batch(key, 201, *({"tokens": i, "idempotency_key": f"b{i}"} for i in range(400, 600)))
    price("chat", 3)
    price("chat", 9, CUSTOMER)
    price("*", 1)
    for token in (key, other):
        batch(token, 201, {"tokens": 10**9}, {"action": "made.up", "outcome": "failure"})
    meter(key, 400, action="image_gen", tokens=2.5)
    _outcomes(running, key)


def _outcomes(running: RunningStack, key: str) -> None:
    """Charged, waived, expired and refused ones, a retry, and voids of an event and of a charge."""

    def send(path: str, status: int, body: Any, token: str | None = key) -> Any:
        code, answer = running.call("POST", path, body, token)
        assert code == status, answer
        return answer

    def register(task: str, status: int, seconds: float, **more: Any) -> None:
        at = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        body = {"task_id": task, "agent_id": "a", "price_on_success": 4900.5, "expires_at": at, **more}
        send("/v1/outcomes", status, body)

    register("won", 201, 600, success_criteria={"n": 1.50})
    register("won", 409, 600)
    register("lost", 201, 600, price_on_failure=1)
    register("left", 201, 1, on_expiry="success")
    won = {"success": True, "evidence": {"deal": "ü"}, "idempotency_key": "won"}
    for _ in range(2):
        send("/v1/outcomes/won/resolve", 200, won)
    send("/v1/outcomes/won/resolve", 409, {"success": False})
    send("/v1/outcomes/lost/resolve", 200, {"outcome": "failure", "metadata": {}})
    send("/v1/outcomes/none/resolve", 404, {"success": True})
    sent = send("/v1/meter", 201, {"agent_id": "a", "action": "email.sent", "outcome": "pending"})
    wait_until(lambda: running.call("GET", "/v1/outcomes/left", None, key)[1]["status"] == "expired", "it expires")
    charge = "SELECT count() FROM rev.entries WHERE kind IN ('charge', 'waived') AND task_id IN ('won', 'lost', 'left')"
    wait_until(lambda: running.sql(charge) == "3", "the ledger can be voided from")
    won_id = running.call("GET", "/v1/outcomes/won", None, key)[1]["outcome_id"]
    for status in (201, 200):
        send(f"/api/admin/outcomes/{won_id}/void", status, {"reason": "mistake"}, None)
    send(f"/api/admin/events/{sent['event_id']}/void", 201, {"reason": "mistake"}, None)
    send(f"/v1/outcomes/{sent['outcome_id']}/resolve", 200, {"success": True})


def _verify(running: RunningStack, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "verify", "--data", str(running.data), *options],
        capture_output=True,
        text=True,
        timeout=180,
    )
    return done.returncode, done.stdout + done.stderr


def _line(said: str, name: str) -> str:
    found = re.search(rf"^\s*{name}\s+(\S+)", said, re.M)
    assert found, said
    return found[1].replace(",", "")


def _caught_up(running: RunningStack) -> None:
    registered, closed, refused, pending, voids = 3, 4, 3, 1, 2
    wanted = 2 + 1 + 1 + 2 + 500 + 100 + 2 + registered + closed + refused + pending + voids
    query = f"SELECT count() FROM rev.entries WHERE customer_id = '{CUSTOMER}'"
    wait_until(lambda: running.sql(query) == str(wanted), "the ledger holds every row")


def test_log_and_ledger_agree(running: RunningStack, tmp_path: Path) -> None:
    """Exit 0 over everything, and over one customer before and from a moment; rows and sums are the analyst's,
    to the last digit."""
    _caught_up(running)
    file = tmp_path / "found.json"
    code, said = _verify(running, "--json", str(file))
    assert code == 0, said
    found = json.loads(file.read_text())
    assert found["differences"] == [] and found["summary"]["agree"]
    assert found["summary"]["cents"] == running.sql("SELECT sum(total_cents) FROM rev.entries")
    assert str(found["summary"]["rows"]) == running.sql("SELECT count() FROM rev.entries")
    theirs = f"FROM rev.entries WHERE customer_id = '{CUSTOMER}'"
    # the accepted time of a row in the middle, so that both ranges hold rows and share none
    middle = running.sql(f"SELECT min(recorded_at) {theirs} AND kind = 'registered'")
    at = middle.replace(" ", "T") + "Z"
    for option, side in (("--to", "<"), ("--from", ">=")):
        code, said = _verify(running, "--customer", CUSTOMER, option, at)
        assert code == 0, said
        rows, cents = running.sql(
            f"SELECT count(), sum(total_cents) {theirs} AND recorded_at {side} '{middle}'"
        ).split()
        assert int(rows) > 0 and (_line(said, "ledger rows"), _line(said, "sum in cents")) == (rows, cents)


def test_a_row_that_was_doubled_in_the_ledger_is_found(running: RunningStack, tmp_path: Path) -> None:
    """Exit 1 and exactly the one difference, on the screen and in the file; 0 for a customer that it is not of."""
    _caught_up(running)
    users = json.loads((running.data / "clickhouse" / "users.json").read_text())
    name = next(name for name, user in users.items() if user["role"] == "rw")
    doubled = running.sql(f"SELECT max(event_id) FROM rev.entries WHERE customer_id = '{CUSTOMER}'")
    query = f"INSERT INTO rev.entries SELECT * FROM rev.entries WHERE event_id = {doubled} LIMIT 1"
    headers = {"X-ClickHouse-User": name, "X-ClickHouse-Key": users[name]["password"]}
    request = urllib.request.Request(running.run["clickhouse"] + "/", query.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    file = tmp_path / "found.json"
    code, said = _verify(running, "--json", str(file))
    assert code == 1, said
    (difference,) = json.loads(file.read_text())["differences"]
    assert (difference["what"], str(difference["event_id"])) == ("doubled", doubled)
    assert doubled in said
    code, said = _verify(running, "--customer", "verify-other")
    assert code == 0, f"another customer's rows are right:\n{said}"


def test_a_directory_without_a_stack_cannot_be_verified(tmp_path: Path) -> None:
    """Exit 2 and where it looked."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "verify", "--data", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "run.json" in done.stderr
