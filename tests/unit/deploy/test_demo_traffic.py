"""The made-up traffic of `make demo`."""

import os
import random
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import FIRST, HABITS, DemoResponse, _ready, cells, table, traffic
from deploy.supervisor import directory
from schemas.prices import DEFAULTS

EVENT = {"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}


@given(st.integers(0, 2**32))
def test_every_event_of_the_demo_has_a_price(seed: int) -> None:
    """The demo sends only actions that a new log has default prices for, and valid token counts."""
    known = {price.action_type for price in DEFAULTS}
    for event in islice(traffic(random.Random(seed)), FIRST):
        assert event["action"] in known
        assert event.get("tokens", 0) >= 0 and event.get("outcome", "success") in ("success", "failure")


def test_the_demo_is_the_same_every_time() -> None:
    """A seed gives the same story, with several agents in its first table."""
    first, again = (list(islice(traffic(random.Random(2026)), FIRST)) for _ in range(2))
    assert first == again
    assert len({event["agent_id"] for event in first}) >= 3
    assert {habit.action for habit in HABITS} <= {price.action_type for price in DEFAULTS}


def test_what_a_killed_stack_left_is_not_taken_for_the_new_one(tmp_path: Path) -> None:
    """run.json of another supervisor is no sign that ours is up; ours is, or ends with its exit code."""
    directory.write_json(tmp_path / directory.RUN, {"up": True, "supervisor": os.getpid()})
    ends = [sys.executable, "-c", "raise SystemExit(7)"]
    with subprocess.Popen(ends) as process, pytest.raises(SystemExit, match="7"):
        _ready(tmp_path, process)
    assert _ready(tmp_path, None)["supervisor"] == os.getpid()


def test_a_row_shows_the_price_as_it_was_answered() -> None:
    """The digits of the answer are shown as they are; an answer without a price shows its status."""
    breakdown = {"base_rate_cents": "0.5", "token_charge_cents": "0.72", "outcome_bonus_cents": "0.25"}
    body = {"price": {"total_cents": "1.47", "breakdown": breakdown}}
    row = cells(EVENT, DemoResponse(201, body, 4.2))
    assert row == ["agent-copilot", "completion", "✓", "2,400", "0.5", "0.72", "0.25", "1.47", "4"]
    assert cells(EVENT, DemoResponse(202, {}, 2000.0))[-2:] == ["(202)", "2000"]
    assert len(row) == len(table().columns)
