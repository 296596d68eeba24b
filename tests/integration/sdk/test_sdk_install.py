"""revgrid as pip installs it from its directory."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import revgrid
from tests.integration.sdk.here import ROOT

pytestmark = pytest.mark.integration


def test_the_package_installs_and_works_from_elsewhere(tmp_path: Path) -> None:
    """pip install, without network: every module and the marker that it is typed are there."""
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(
        ROOT / "sdk" / "python", source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    )
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    ours = {path.name for path in Path(revgrid.__file__).parent.iterdir() if path.is_file()}
    assert {path.name for path in (target / "revgrid").iterdir() if path.is_file()} == ours and "py.typed" in ours
    script = (
        f"import sys; sys.path.insert(0, {str(target)!r}); import revgrid, importlib.metadata as m;"
        "print(revgrid.__file__, revgrid.Rev(api_key='rg_x'), m.version('revgrid'))"
    )
    # -I: neither this repository nor the environment helps it
    shown = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.startswith(str(target)) and shown.stdout.rstrip().endswith(revgrid.__version__)
