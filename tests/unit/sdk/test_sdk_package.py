"""What revgrid promises as a package: Python 3.9, nothing but the standard library, one version."""

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

import revgrid

ROOT = Path(__file__).parents[3] / "sdk"
MODULES = sorted((ROOT / "python" / "revgrid").glob("*.py"))
each = pytest.mark.parametrize("path", MODULES, ids=[path.stem for path in MODULES])


@each
def test_each_module_is_python_3_9(path: Path) -> None:
    """It parses as 3.9 does, and its annotations are not evaluated (`X | None` would fail)."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    annotated = any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign) for node in ast.walk(tree))
    assert not annotated or "from __future__ import annotations" in path.read_text()


@each
def test_each_module_needs_the_standard_library_alone(path: Path) -> None:
    """What is imported while it runs; typing_extensions is for type checkers."""
    checked_only: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            checked_only |= set(ast.walk(node))
        if node in checked_only:
            continue
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] in sys.stdlib_module_names


def test_there_is_one_version() -> None:
    """In both packages and in what they say of themselves."""
    project = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    package = json.loads((ROOT / "js" / "package.json").read_text())
    [told] = re.findall(r"VERSION = '(.*)'", (ROOT / "js" / "index.js").read_text())
    assert project["version"] == revgrid.__version__ == package["version"] == told
    assert project["dependencies"] == [] and "dependencies" not in package


def test_everything_that_is_public_is_exported() -> None:
    """Every model and error can be imported from the package itself."""
    models = {name for name in vars(revgrid.models) if isinstance(vars(revgrid.models)[name], type)}
    own = {name for name in models if vars(revgrid.models)[name].__module__ == "revgrid.models"}
    errors = {name for name in vars(revgrid.errors) if name.endswith("Error")}
    assert own | errors <= set(revgrid.__all__) and all(hasattr(revgrid, name) for name in revgrid.__all__)


def test_the_tree_of_errors_is_the_one_that_is_drawn() -> None:
    """errors.py draws it at its top."""
    drawn = set(re.findall(r"\w+Error", revgrid.errors.__doc__ or "")) - {"ValueError"}
    assert drawn == {name for name in vars(revgrid.errors) if name.endswith("Error")}
