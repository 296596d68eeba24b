"""Processes whose wall clock is an hour off change no accepted time and no price."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.running_stack import RunningStack, wait_until

pytestmark = pytest.mark.crash

SKEWED = Path(__file__).parent / "skewed"


@pytest.mark.parametrize("skew", [3600, -3600])
def test_created_at_is_the_brokers_time_whatever_the_services_clocks_say(tmp_path: Path, skew: int) -> None:
    """All Python processes an hour ahead of the broker, or behind: created_at and the ledger have the broker's
    time, a price holds from its answer on, a repeat is the first answer, and the log says the same priced again."""
    path = f"{SKEWED}:{os.environ.get('PYTHONPATH', '')}"
    running = RunningStack(tmp_path / "data", {"PYTHONPATH": path, "SKEW": str(skew)})
    try:
        running.wait_ready()
        key = running.make_key("skewed")
        status, answer = running.call("POST", "/v1/meter", {"agent_id": "a", "action": "chat"}, key)
        assert status == 201
        created = datetime.fromisoformat(answer["created_at"])
        assert abs(created - datetime.now(UTC)) < timedelta(minutes=1)
        query = f"SELECT toUnixTimestamp(recorded_at) FROM rev.entries WHERE event_id = {answer['event_id']}"
        wait_until(lambda: running.sql(query) != "", "the row is in ClickHouse")
        assert abs(int(running.sql(query)) - created.timestamp()) <= 1
        assert running.call("POST", "/api/admin/pricing", {"action_type": "chat", "base_rate_cents": 3})[0] == 201
        body = {"agent_id": "a", "action": "chat", "idempotency_key": "k"}
        first, again = (running.call("POST", "/v1/meter", body, key) for _ in range(2))
        assert first == again and (first[0], first[1]["price"]["total_cents"]) == (201, 3)
        verify = [sys.executable, "-m", "tools.cli", "verify", "--data", str(running.data)]
        assert subprocess.run(verify, check=False).returncode == 0
    finally:
        running.stop()
