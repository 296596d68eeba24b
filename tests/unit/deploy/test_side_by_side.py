"""`make test` runs every test, each in one of its two processes."""

from pathlib import Path

from tests.side_by_side import TESTS, lanes


def test_every_test_runs_once() -> None:
    """Whatever is below tests/unit and tests/integration is below exactly one of the directories that run."""
    both = [Path(name) for lane in lanes() for name in lane]
    for module in [*TESTS.glob("unit/**/test_*.py"), *TESTS.glob("integration/**/test_*.py")]:
        assert sum(directory in module.parents for directory in both) == 1, module
