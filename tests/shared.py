"""What lies beside the repository, ../shared: documents and data that are not ours to put into it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def beside(name: str) -> Path:
    """A file or folder of ../shared. Where it is not there, the test says that it was not run; with REV_RUN_ALL=1
    (tests/conftest.py) that fails the run."""
    found = SHARED / name
    if not found.exists():
        pytest.skip(f"not run: ../shared/{name} is not here")
    return found
