"""Outcomes under faults and wrong clocks: one end each, each charge once, none early, none late."""

import os
from pathlib import Path

import pytest

from bench.running_stack import RunningStack
from tests.crash.decided_again import differences
from tests.crash.outcome_load import SHARDS, Size, skewed, trial, verified

pytestmark = pytest.mark.crash

SIZE = Size(
    outcomes=int(os.environ.get("TORTURE_OUTCOMES", "20000")),
    faults=int(os.environ.get("TORTURE_FAULTS", "30")),
    clients=int(os.environ.get("TORTURE_CLIENTS", "24")),
    seed=int(os.environ.get("TORTURE_SEED", "1")),
)


def test_every_outcome_ends_once_whatever_dies(tmp_path: Path) -> None:
    """kill -9 and SIGSTOP at random, the expirer's clock jumping by two hours: what was answered is what
    the ledger says, nothing expires early, nothing later than 1 s after its time plus the outage."""
    running = RunningStack(tmp_path / "data", skewed("steps"))
    try:
        judged = trial(running, SIZE)
        assert judged.errors == []
        assert {"succeeded", "failed", "expired"} <= judged.verdicts.keys()
        assert verified(running) == 0, "rev verify agrees"
        assert differences(running, SHARDS, SIZE.seed) == [], "a second reading of the log decides the same"
    finally:
        assert running.stop() == 0, "rev up stops cleanly after all of it"


@pytest.mark.parametrize("skew", ["3600", "-3600"])
def test_an_expirer_whose_clock_is_an_hour_off_is_in_time(tmp_path: Path, skew: str) -> None:
    """Ahead nothing expires early, behind nothing late: it goes by the broker's clock."""
    running = RunningStack(tmp_path / "data", skewed(skew))
    try:
        judged = trial(running, Size(outcomes=500, faults=2, clients=8))
        assert judged.errors == []
        assert judged.verdicts["expired"] > 0
        assert verified(running) == 0
    finally:
        running.stop()
