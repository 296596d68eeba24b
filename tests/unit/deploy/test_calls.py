"""A call with many arguments names them: a wrong order of fifteen texts is silent."""

import ast
from collections.abc import Iterator

from tests.unit.deploy.tree import PACKAGES, ROOT, modules, parsed

MOST = 6
PASSING_ON = frozenset({"self._thread", "made.add_row"})
"""What it is given it gives to another function, by position."""


def long_calls() -> Iterator[tuple[str, int, str]]:
    for path in modules(*PACKAGES, "sdk"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and len(node.args) > MOST and ast.unparse(node.func) not in PASSING_ON:
                yield str(path.relative_to(ROOT)), node.lineno, ast.unparse(node.func)


def test_more_than_six_arguments_are_named() -> None:
    assert list(long_calls()) == []


def test_long_calls_are_seen() -> None:
    (call,) = [node for node in ast.walk(ast.parse("f(1, 2, 3, 4, 5, 6, 7)")) if isinstance(node, ast.Call)]
    assert len(call.args) > MOST
