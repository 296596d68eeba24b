"""One `rev up` with REV_OPEN_ADMIN=1 for all the examples."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.running_stack import RunningStack
from tests.integration.reference.open_admin import OpenAdmin


@pytest.fixture(scope="package")
def open_admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAdmin]:
    where: Path = tmp_path_factory.mktemp("reference")
    running = RunningStack(where / "data", {"REV_OPEN_ADMIN": "1"})
    try:
        running.wait_ready()
        running.make_key("sacrificed-by-revoke-example")  # the example revokes key 1
        yield OpenAdmin(running.http, running.make_key("acme-corp"), running)
    finally:
        running.stop()
