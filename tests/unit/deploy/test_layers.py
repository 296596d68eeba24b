"""Dependencies point one way: services, streams, schemas; services meet in topics alone."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.unit.deploy.tree import parsed

ROOT = Path(__file__).parents[3]
SERVICES = ("ingest", "pricer", "ledger", "expirer", "notifier", "collector", "web")
READERS = ("ingest", "ledger", "collector", "web")
"""Services that read or write ClickHouse."""
MAY = {
    "schemas": set[str](),
    "streams": {"schemas"},
    "warehouse": {"schemas", "streams"},
    **{service: {"schemas", "streams"} for service in SERVICES},
    **{service: {"schemas", "streams", "warehouse"} for service in READERS},
    "deploy": {"schemas", "streams", "warehouse", *SERVICES},
    "tools": {"schemas", "streams", "warehouse", *SERVICES, "deploy"},
    "sdk/python/revgrid": set[str](),
}
PACKAGES = {*MAY, "bench", "tests", "revgrid"}


def imported(package: str) -> dict[str, set[str]]:
    """By the file that does it: which other rooms are imported, also inside functions."""
    found = dict[str, set[str]]()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(parsed(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            others = {name.partition(".")[0] for name in names} & PACKAGES - {Path(package).name}
            found.setdefault(str(path.relative_to(ROOT)), set()).update(others)
    return found


@pytest.mark.parametrize("package", MAY)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    """No service another, streams no service, schemas nothing, and nobody bench or tests."""
    found = imported(package)
    assert found
    assert {path: wrong for path, others in found.items() if (wrong := others - MAY[package])} == {}


def test_the_independent_model_is_independent() -> None:
    """Of schemas, `rev verify` takes limits, names of labels and terms, topics and settings; no arithmetic on money."""
    taken = set[str]()
    for path in (ROOT / "tools" / "verify").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("schemas"):
                taken.add(node.module or "")
    assert taken == {"schemas.labels", "schemas.limits", "schemas.outcome_terms", "schemas.topics", "schemas.settings"}


def test_private_tables_are_named_by_their_owner_alone() -> None:
    """The second seam, beside topics: everyone reads rev.entries and the views; rev._… is for warehouse and ledger."""
    named = {
        path.relative_to(ROOT).parts[0]
        for package in PACKAGES - {"tests", "revgrid"}
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".sql") and re.search(r"\brev\._[a-z]", path.read_text())
    }
    assert named == {"warehouse", "ledger"}


def test_no_circle_of_imports() -> None:
    """Among modules, and among the packages inside a package; graphlib raises for a circle."""
    modules = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
        for package in PACKAGES - {"tests", "revgrid", "sdk/python/revgrid"}
        for path in (ROOT / package).rglob("*.py")
    }
    imports: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in parsed(path).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                imports[name] |= (named & modules.keys()) or ({node.module} & modules.keys())
    assert len(list(TopologicalSorter(imports).static_order())) == len(modules) > 250
    inner: dict[str, set[str]] = {}
    for name, others in imports.items():
        package = name.rpartition(".")[0]
        if package.count("."):
            there = {other.rpartition(".")[0] for other in others}
            inner.setdefault(package, set()).update(one for one in there if one.count(".") and one != package)
    assert list(TopologicalSorter(inner).static_order())


def test_the_page_says_the_same() -> None:
    """docs/architecture.md: what each directory imports."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `([\w/]+)/` \| .* \| (.*) \|$", page, re.MULTILINE)
    words = {"nothing of ours": set[str](), "all services": set(SERVICES), "all of them": MAY["tools"]}
    said = {name: set[str]().union(*(words.get(word, {word}) for word in may.split(", "))) for name, may in rows}
    assert said == {name.partition("/")[0]: may for name, may in MAY.items()}
