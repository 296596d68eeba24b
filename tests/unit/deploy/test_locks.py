"""The two locks, and that what is left out of the first is not needed."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.unit.deploy.tree import PACKAGES, ROOT, modules, parsed

# Imports every module of Rev but the one reader that needs pyarrow, and asks the engine, where what the run lock leaves
# out, and what only tests use, is not there.
START = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import importlib

for package in %r:
    for file in sorted(Path(package).rglob("*.py")):
        name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        if name.endswith("__main__") or name == "tools.importer.parquet":
            continue
        importlib.import_module(name)
        print(name)
from chdb import session
print(session.Session().query("SELECT sum(toDecimal128(number, 3)) FROM numbers(4)", "CSV").bytes().decode())
"""
ABSENT = (
    "numpy",
    "pandas",
    "pyarrow",
    "pytest",
    "hypothesis",
    "schemathesis",
    "flask",
    "stripe",
    "obstore",
    "svix",
    "standardwebhooks",
)


def _versions(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[.*?\])?==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_lock_of_the_tests_holds_that_of_what_runs() -> None:
    run, test = _versions("requirements.lock"), _versions("requirements-test.lock")
    assert {name: test.get(name) for name in run} == run
    assert {"pytest", "pyarrow"} <= test.keys() - run.keys()


@pytest.mark.parametrize(("lock", "least"), [("uv", 1), ("", 40), ("test", 100)])
def test_every_package_of_a_lock_has_hashes_and_no_host_is_named(lock: str, least: int) -> None:
    name = f"requirements{'-' * bool(lock)}{lock}.lock"
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text)
    assert len(entries) >= len(_versions(name)) >= least
    assert [entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []
    assert "://" not in text and "--index-url" not in text


def test_rev_runs_with_what_the_run_lock_installs() -> None:
    started = subprocess.run(
        [sys.executable, "-c", START % (ABSENT, PACKAGES)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert started.returncode == 0, started.stderr
    *modules, answer = started.stdout.split()
    assert {"ingest.service", "pricer.service", "ledger.service", "notifier.service", "deploy.demo"} <= set(modules)
    assert answer == "6"


def test_every_import_comes_from_a_package_of_the_run_lock() -> None:
    locked = {_normal(name) for name in _versions("requirements.lock")} | {"rev"}
    owners = packages_distributions()
    foreign = {
        (name, file.name)
        for file in modules(*PACKAGES)
        for name in _imports(file)
        if name in owners and not {_normal(owner) for owner in owners[name]} & locked
    }
    assert foreign == {("obstore", "bucket.py"), ("pyarrow", "parquet.py"), ("stripe", "client.py")}


def _imports(file: Path) -> set[str]:
    """The top-level names that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def _normal(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
