"""`make test` runs every test, each in one of its three processes."""

from pathlib import Path

from tests.side_by_side import TESTS, lanes


def test_every_test_runs_once() -> None:
    """Whatever is below tests/unit and tests/integration is below exactly one of the directories that run."""
    all_of_them = [Path(name) for lane in lanes() for name in lane]
    for module in [*TESTS.glob("unit/**/test_*.py"), *TESTS.glob("integration/**/test_*.py")]:
        assert sum(directory in module.parents for directory in all_of_them) == 1, module
