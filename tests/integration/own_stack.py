"""A `rev up` of a test's own, for tests that compare all of it, or kill parts of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.running_stack import RunningStack


@contextmanager
def own_stack(directory: Path, env: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield what the `stack` fixture is, of a stack in an empty directory; ``env``: settings of its own."""
    made = RunningStack(directory / "data", env)
    try:
        made.wait_ready()
        yield {**made.run, "data": made.data, "admin_token": made.admin_token}
    finally:
        made.stop()
