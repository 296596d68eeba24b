"""What `python -m tools.generate` writes is in the tree as it would write it now."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_generated_files_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.generate", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
