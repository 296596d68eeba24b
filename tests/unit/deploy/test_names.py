"""Names are the field's: no metaphor of our own names a module, a class or a function, and no two classes share a name.

The table of what was renamed, and why, is docs/decisions/0032-names.md.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.unit.deploy.tree import PACKAGES, ROOT, modules, parsed

NAMED = (*PACKAGES, "bench")
METAPHORS = """
alarm alarms boundary bury carry condemned convoy desk dog draft feeding flight flights fly giving heart hungry
intake journal judge judgement keeping landed lane lanes letters lifeline memories misfit owe owed pace parcel recall
recollect remember remembered rooms seat seats shelf standing starved stretch stretches tariff tariffs team tell telling
told travel trouble troubles
"""
BANNED = frozenset(METAPHORS.split())
"""Words of a private language; each has a standard term in docs/glossary.md or in the decision."""
SHARED = """
__init__ __main__ client clickhouse columns command config errors memory metering metrics ports prices probes receiver
report service serving sources state testing voids webhooks worker
"""
ROLES = frozenset(SHARED.split())
"""Module names that say the same thing of different packages."""
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions() -> Iterator[tuple[Path, Definition]]:
    for path in modules(*NAMED):
        for node in ast.walk(parsed(path)):
            if isinstance(node, Definition):
                yield path, node


def words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([A-Z]+)", r"_\1", name).lower()))


def test_words_are_told_apart() -> None:
    assert words("_DeadLetterQueue2") == {"dead", "letter", "queue"}
    assert words("Heartbeat") & BANNED == set() and words("HeartBeat") & BANNED == {"heart"}


def test_no_metaphor_names_anything() -> None:
    named = [(path, node.name) for path, node in definitions()] + [(path, path.stem) for path in modules(*NAMED)]
    assert len(named) > 2000
    assert [(str(path.relative_to(ROOT)), name) for path, name in named if words(name) & BANNED] == []


def test_no_class_name_exists_twice() -> None:
    """Private classes of one module are its own; bench and deploy programs are counted, too."""
    found = defaultdict[str, list[str]](list)
    for path, node in definitions():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found[node.name].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_a_module_name_exists_twice_for_a_role_alone() -> None:
    found = defaultdict[str, list[str]](list)
    for path in modules(*NAMED):
        found[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: where for name, where in found.items() if len(where) > 1 and name not in ROLES} == {}
