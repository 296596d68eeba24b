"""A process whose wall clock is an hour off changes no accepted time and no price."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.running import Running, wait_until

pytestmark = pytest.mark.crash

SKEWED = Path(__file__).parent / "skewed"


def test_created_at_is_the_brokers_time_whatever_the_services_clocks_say(tmp_path: Path) -> None:
    """All Python processes an hour ahead of the broker: created_at and the ledger have the broker's time."""
    running = Running(tmp_path / "data", {"PYTHONPATH": f"{SKEWED}:{os.environ.get('PYTHONPATH', '')}"})
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
    finally:
        running.stop()
