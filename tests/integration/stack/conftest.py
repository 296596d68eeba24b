"""A `rev up` of this package's own, whose processes are stopped and killed by the tests."""

from collections.abc import Iterator

import pytest

from bench.running_stack import RunningStack


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One `rev up` for the package, with a short append time-out so that faults show soon."""
    made = RunningStack(tmp_path_factory.mktemp("stack") / "data", {"REV_APPEND_TIMEOUT": "2s"})
    try:
        made.wait_ready()
        yield made
    finally:
        made.stop()
