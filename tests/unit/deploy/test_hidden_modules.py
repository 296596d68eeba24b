"""Modules that a library is to do without."""

import importlib
import subprocess
import sys

import pytest

from deploy.hidden_modules import hidden


def test_a_hidden_module_is_missing_and_there_again() -> None:
    """What had been imported is the same module afterwards."""
    with hidden("json"), pytest.raises(ImportError):
        importlib.import_module("json")
    import json

    assert json.loads("1") == 1
    sys.modules.pop("this_was_never_imported", None)
    with hidden("this_was_never_imported"):
        pass
    assert "this_was_never_imported" not in sys.modules


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["-c", "import sys; from tools.cli import main; main(['gateway'])"], ["rich", "reportlab"]),
        (["-c", "import sys; import deploy.clickhouse.engine"], ["numpy"]),
    ],
    ids=["a service", "the engine"],
)
def test_what_is_not_needed_is_not_loaded(command: list[str], without: list[str]) -> None:
    """A service starts with settings that it refuses, after it has imported itself."""
    script = f"{command[1]}; print([name for name in {without!r} if name in sys.modules])"
    env = {"REV_KAFKA": "127.0.0.1:1", "REV_SECRET_KEY": "short"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
