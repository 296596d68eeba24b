"""What each service promises while its neighbour is down: the table in docs/operations.md."""

import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from bench.running_stack import RunningStack, wait_until
from deploy import ports
from deploy.children import spawn
from deploy.supervisor import directory, probes
from tests.freezing import frozen

pytestmark = pytest.mark.integration


def event(**more: Any) -> dict[str, Any]:
    return {"agent_id": "agent-1", "action": "completion", "tokens": 2400, "outcome": "success", **more}


def rows(running: RunningStack, key: str) -> int:
    return int(running.sql(f"SELECT count() FROM rev.entries WHERE idempotency_key = '{key}'"))


@pytest.fixture(scope="module")
def key(running: RunningStack) -> str:
    return running.make_key("neighbour")


def test_one_event_in_a_committed_price_back_a_row_in_clickhouse(running: RunningStack, key: str) -> None:
    """The whole path: 1.47 cents in the answer, the same in the analyst's SQL."""
    status, answer = running.call("POST", "/v1/meter", event(), key)
    assert (status, answer["price"]["total_cents"]) == (201, 1.47)
    query = f"SELECT total_cents FROM rev.entries WHERE event_id = {answer['event_id']}"
    wait_until(lambda: running.sql(query) == "1.47", "the row is in ClickHouse")


def test_kafka_stopped_acknowledges_nothing_and_a_repeat_is_charged_once(running: RunningStack, key: str) -> None:
    """Without Kafka: 503 with one of its two codes; afterwards the same key is charged exactly once."""
    name = str(uuid.uuid4())
    body = event(idempotency_key=name)
    with frozen(running.wait_pid("kafka")):
        answers = [running.call("POST", "/v1/meter", body, key) for _ in range(3)]
    assert [status for status, _ in answers] == [503, 503, 503]
    codes = [answer["code"] for _, answer in answers]
    assert codes[0] == "unknown" and set(codes) <= {"unknown", "not_recorded"}

    def priced() -> bool:
        return running.call("POST", "/v1/meter", body, key)[0] == 201

    wait_until(priced, "priced once Kafka is back")
    wait_until(lambda: rows(running, name) >= 1, "the row is in ClickHouse")
    _, first = running.call("POST", "/v1/meter", body, key)
    _, second = running.call("POST", "/v1/meter", body, key)
    assert first == second
    _settle(running, key)
    assert rows(running, name) == 1


def _settle(running: RunningStack, key: str) -> None:
    """Returns when an event that was sent now is in the ledger, and so is all before it."""
    mark = str(uuid.uuid4())
    wait_until(lambda: running.call("POST", "/v1/meter", event(idempotency_key=mark), key)[0] == 201, "settled")
    wait_until(lambda: rows(running, mark) == 1, "settled in the ledger")


def test_pricer_stopped_answers_202_and_prices_later(running: RunningStack, key: str) -> None:
    """Without the pricer: 202 with the event's address, and the price once it is back."""
    name = str(uuid.uuid4())
    with frozen(running.wait_pid("pricer")):
        status, answer = running.call("POST", "/v1/meter", event(idempotency_key=name), key)
        assert (status, answer["status"], answer["price"]) == (202, "accepted", None)
        assert running.call("GET", f"/v1/events/{answer['event_id']}", key=key)[0] == 202

    def later() -> bool:
        status, shown = running.call("GET", f"/v1/events/{answer['event_id']}", key=key)
        return status == 200 and shown["price"]["total_cents"] == 1.47

    wait_until(later, "priced once the pricer is back")
    again, replay = running.call("POST", "/v1/meter", event(idempotency_key=name), key)
    assert (again, replay["event_id"]) == (201, answer["event_id"])


def test_clickhouse_stopped_keeps_metering_and_catches_up(running: RunningStack, key: str) -> None:
    """Without ClickHouse: prices go on, aggregating reads are 503, the ledger catches up."""
    name = str(uuid.uuid4())
    with frozen(running.wait_pid("clickhouse")):
        status, _ = running.call("POST", "/v1/meter", event(idempotency_key=name), key)
        assert status == 201
        assert running.call("GET", "/v1/usage", key=key)[0] == 503
    wait_until(lambda: rows(running, name) == 1, "the ledger catches up")
    wait_until(lambda: running.call("GET", "/v1/usage", key=key)[0] == 200, "reads are back")


@pytest.mark.parametrize("name", ["gateway", "pricer", "ledger", "clickhouse", "kafka"])
def test_a_killed_process_is_replaced_and_nothing_is_lost(running: RunningStack, key: str, name: str) -> None:
    """kill -9 of any process: run.json names its successor, the next event is priced and lands once."""
    before = running.wait_pid(name)
    sent = str(uuid.uuid4())
    assert running.call("POST", "/v1/meter", event(idempotency_key=sent), key)[0] == 201
    os.kill(before, signal.SIGKILL)
    assert running.wait_pid(name, other_than=before) != before

    def again() -> bool:
        try:
            return running.call("POST", "/v1/meter", event(idempotency_key=sent), key)[0] == 201
        except OSError:
            return False

    wait_until(again, "the same key is answered again")
    wait_until(lambda: _counted(running, sent) == 1, "one row in the ledger")


def _counted(running: RunningStack, name: str) -> int:
    try:
        return rows(running, name)
    except OSError:
        return -1


def test_a_price_holds_for_every_event_after_its_answer(running: RunningStack) -> None:
    """Twenty price changes: each event sent after the answer is priced with the new row."""
    key = running.make_key("price-changes")
    for cents in range(20):
        body = {"action_type": "changing", "base_rate_cents": cents, "customer_id": "price-changes"}
        assert running.call("POST", "/api/admin/pricing", body)[0] == 201
        status, answer = running.call("POST", "/v1/meter", {"agent_id": "a", "action": "changing"}, key)
        assert (status, answer["price"]["total_cents"]) == (201, cents)


@contextmanager
def second_gateway(running: RunningStack) -> Iterator[str]:
    """The address of another gateway on the same log."""
    port = ports.choose(random.Random(), set())
    env = {
        "REV_KAFKA": running.run["kafka"],
        "REV_CLICKHOUSE_URL": running.run["clickhouse"],
        "REV_DATA": str(running.data),
        "REV_PARTITIONS": str(directory.read_json(running.data / directory.LOG)["partitions"]),
        "REV_HTTP_PORT": str(port),
    }
    process = spawn([sys.executable, "-m", "tools.cli", "gateway"], env={**os.environ, **env})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: probes.get("127.0.0.1", port, "/readyz")[0] == 200, "the second gateway is ready")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_a_new_price_holds_at_every_gateway(running: RunningStack) -> None:
    """An action that one gateway has just made a price for is priced by the other one, each
    time; one that nobody made a price for is refused."""
    key = running.make_key("two-gateways")
    headers = {"Authorization": f"Bearer {key}"}
    with second_gateway(running) as url:
        wait_until(lambda: requests.get(f"{url}/v1/pricing", headers=headers, timeout=15).status_code == 200, "its key")
        for cents in range(40):
            body = {"action_type": f"new-{cents}", "base_rate_cents": cents}
            assert running.call("POST", "/api/admin/pricing", body)[0] == 201
            sent = {"agent_id": "a", "action": f"new-{cents}"}
            answer = requests.post(f"{url}/v1/meter", json=sent, headers=headers, timeout=15)
            assert (answer.status_code, answer.json()["price"]["total_cents"]) == (201, cents)
        sent = {"agent_id": "a", "action": "nobody-priced-it"}
        assert requests.post(f"{url}/v1/meter", json=sent, headers=headers, timeout=15).status_code == 400


def test_a_revoked_key_is_refused_by_every_gateway(running: RunningStack) -> None:
    """Revoking twice answers the same; the key is 401 from then on, on another gateway within a second;
    what that gateway cannot know it does not let in."""
    status, made = running.call("POST", "/api/admin/api-keys", {"customer_id": "revoked"})
    assert status == 201
    with second_gateway(running) as url:

        def meter() -> int:
            headers = {"Authorization": f"Bearer {made['api_key']}"}
            return requests.post(f"{url}/v1/meter", json=event(), headers=headers, timeout=15).status_code

        assert running.call("POST", "/v1/meter", event(), made["api_key"])[0] == 201
        wait_until(lambda: meter() == 201, "the other gateway knows the key")
        for _ in range(2):
            assert running.call("DELETE", f"/api/admin/api-keys/{made['id']}") == (200, {"success": True})
        revoked = time.monotonic()
        assert running.call("POST", "/v1/meter", event(), made["api_key"])[0] == 401
        while (status := meter()) != 401:
            assert status == 503 or time.monotonic() < revoked + 1


def test_a_killed_supervisor_leaves_nothing_and_the_next_one_goes_on(running: RunningStack, key: str) -> None:
    """kill -9 of `rev up` ends all its children; a new one has the same addresses, secrets and data, and
    Ctrl-C stops it in order within 5 s."""
    before, token, name = running.run, running.admin_token, str(uuid.uuid4())
    priced = running.call("POST", "/v1/meter", event(idempotency_key=name), key)
    assert priced[0] == 201
    running.process.kill()
    running.process.wait()
    births = before["births"].items()
    wait_until(lambda: all(directory.birth(before["pids"][n]) != at for n, at in births), "no child is left", 10)
    again = RunningStack(running.data)
    try:
        wait_until(lambda: _run_of(again).get("up"), "the next one is up")
        for same in ("http", "kafka", "clickhouse", "analyst"):
            assert again.run[same] == before[same]
        assert again.admin_token == token
        assert again.call("POST", "/v1/meter", event(idempotency_key=name), key) == priced
        wait_until(lambda: rows(again, name) == 1, "the row is in ClickHouse")
        births = again.run["births"].items()
        pids = again.run["pids"]
        again.process.send_signal(signal.SIGINT)
        assert again.process.wait(5) == 0, "that is the promise, so it may be timed"
        assert all(directory.birth(pids[n]) != at for n, at in births)
        assert not (running.data / directory.RUN).exists()
    finally:
        again.stop()


def _run_of(running: RunningStack) -> dict[str, Any]:
    """run.json, when it is this supervisor's own."""
    found = directory.read_json(running.data / directory.RUN)
    return found if found.get("supervisor") == running.process.pid else {}
