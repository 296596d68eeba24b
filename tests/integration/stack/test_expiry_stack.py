"""Outcomes that nobody resolves or reads, in a whole `rev up`."""

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.running_stack import RunningStack, wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def key(running: RunningStack) -> str:
    return running.make_key("expiry")


def ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def register(running: RunningStack, key: str, task: str, seconds: float, **more: Any) -> str:
    """The id of an outcome that expires so many seconds ahead."""
    body = {"task_id": task, "agent_id": "a", "price_on_success": 4900, "price_on_failure": 25, **more}
    status, answer = running.call("POST", "/v1/outcomes", {**body, "expires_at": ahead(seconds)}, key)
    assert status == 201, answer
    return str(answer["outcome_id"])


def closings(running: RunningStack, outcome: str) -> list[str]:
    """kind, verdict, cents and how late in ms, of every entry that closed it."""
    late = "toUnixTimestamp64Milli(recorded_at) - toUnixTimestamp64Milli(expires_at)"
    query = (
        f"SELECT kind, verdict, total_cents, {late} >= 0 FROM rev.entries "
        f"WHERE outcome_id = '{outcome}' AND kind IN ('charge', 'waived')"
    )
    return running.sql(query).splitlines()


def test_it_expires_by_itself_once_at_the_price_that_was_agreed(running: RunningStack, key: str) -> None:
    """An outcome that nobody resolves or reads is closed as expired when its time has come, never
    before, with one entry: at the failure price, or with on_expiry=success at the success price; a
    pending event's bonus is waived."""
    failing = register(running, key, "fails", 2)
    paying = register(running, key, "pays", 2, on_expiry="success")
    event = {"agent_id": "a", "action": "email.sent", "outcome": "pending", "expires_at": ahead(2)}
    status, answer = running.call("POST", "/v1/meter", event, key)
    assert status == 201, answer
    pending = answer["outcome_id"]
    resolved = register(running, key, "proven", 3)
    assert running.call("POST", "/v1/outcomes/proven/resolve", {"success": True}, key)[0] == 200
    wanted = {
        failing: ["charge\texpired\t25\t1"],
        paying: ["charge\texpired\t4900\t1"],
        pending: ["waived\texpired\t0\t1"],
        resolved: ["charge\tsucceeded\t4900\t0"],
    }
    wait_until(lambda: all(closings(running, one) for one in wanted), "every outcome is closed", 30)
    last = register(running, key, "last", 1)
    wait_until(lambda: closings(running, last), "the last one is closed", 30)
    assert {one: closings(running, one) for one in wanted} == wanted
    status, answer = running.call("GET", "/v1/outcomes/pays", key=key)
    assert (status, answer["status"], answer["charge_cents"]) == (200, "expired", 4900)


def test_it_expires_after_the_expirer_was_killed(running: RunningStack, key: str) -> None:
    """What falls due while the expirer is dead is closed when the supervisor has started it again."""
    outcome = register(running, key, "orphan", 0.5)
    os.kill(running.wait_pid("expirer"), signal.SIGKILL)
    wait_until(lambda: closings(running, outcome), "the outcome is closed", 30)
    assert closings(running, outcome) == ["charge\texpired\t25\t1"]
