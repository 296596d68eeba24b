"""The short form of the outcomes' torture (tests/crash/test_outcomes.py): every kind of thing, few of each."""

from pathlib import Path

import pytest

from bench.running_stack import RunningStack
from tests.crash.decided_again import differences
from tests.crash.outcome_load import SHARDS, Size, skewed, trial, verified

pytestmark = pytest.mark.integration

SLOW = 10_000
"""Milliseconds that CI's machine may be late; how late it is when nothing else runs, the torture says."""


def test_a_few_hundred_outcomes_end_once_under_three_faults(tmp_path: Path) -> None:
    """Answers, ledger and `rev verify` agree; none expired early although the expirer's clock jumps. The log, decided
    a second time in other transactions, gives the same entries and state byte by byte."""
    running = RunningStack(tmp_path / "data", skewed("steps"))
    try:
        judged = trial(running, Size(outcomes=300, faults=3, clients=6, seed=3), grace=SLOW)
        assert judged.errors == []
        assert {"succeeded", "failed", "expired"} <= judged.verdicts.keys()
        assert verified(running) == 0
        assert differences(running, SHARDS, seed=3) == []
    finally:
        running.stop()
