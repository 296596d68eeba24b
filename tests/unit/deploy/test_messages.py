"""What the product says at run time is short and plain: errors, help, metrics, summaries of the API, alerts.

The texts are collected from the calls that carry them. A placeholder of an f-string counts as ``{}``.
"""

import ast
import re
from collections.abc import Callable, Iterator
from itertools import chain

import yaml

from tests.unit.deploy.test_names import BANNED
from tests.unit.deploy.tree import PACKAGES, ROOT, modules, parsed

MOST = 160
"""Characters of a message, without what its placeholders stand for."""
UNCLEAR = re.compile(
    r"\b(wants?|whole number|not for analysts|again and again|anew|no answer to|the answer|told|says? no)\b",
    re.IGNORECASE,
)
"""Wordings that were replaced: an error says what must be, and HTTP gives a response."""
BAD_END = re.compile(r"[ ,;]$|(?<!\.)[.,;:!?]{2}$")
NAMES = re.compile(r"\{\{.*?\}\}|--[a-z-]+")
"""Template expressions of alerts, and options."""
METRICS = frozenset({"Counter", "Gauge", "Histogram"})
PRINTS = frozenset({"print", "_say"})
DESCRIBES = frozenset({"help", "description", "summary"})
Message = tuple[str, int, str]


def text_of(node: ast.expr) -> str | None:
    """The text of a literal, or None for any other expression."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def sentences(nodes: Iterator[ast.expr]) -> Iterator[tuple[int, str]]:
    """Texts of more than one word."""
    for node in nodes:
        if (text := text_of(node)) is not None and " " in text.strip():
            yield node.lineno, text


def spoken(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Errors, printed lines and help."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            calls = (found for found in ast.walk(node.exc) if isinstance(found, ast.Call))
            yield from sentences(chain.from_iterable(call.args for call in calls))
        elif isinstance(node, ast.Call) and name_of(node) in PRINTS:
            yield from sentences(iter(node.args))
        elif isinstance(node, ast.Call):
            yield from sentences(one.value for one in node.keywords if one.arg in DESCRIBES)


def titled(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Descriptions that stand alone: of metrics and of the API's operations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node) in METRICS:
            yield from sentences(iter(node.args[1:2]))
        elif isinstance(node, ast.Call) and name_of(node) == "Operation":
            yield from sentences(iter(node.args[2:3]))


def collected(find: Callable[[ast.AST], Iterator[tuple[int, str]]]) -> list[Message]:
    return [
        (str(path.relative_to(ROOT)), line, text)
        for path in modules(*PACKAGES, "sdk")
        for line, text in find(parsed(path))
    ]


def alerts() -> list[Message]:
    groups = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"]
    return [(rule["alert"], 0, rule["annotations"]["summary"]) for group in groups for rule in group["rules"]]


def faults(text: str, title: bool) -> list[str]:
    """What is wrong with a message. ``title``: it stands alone, so it begins with a capital letter."""
    found = []
    if len(text) > MOST:
        found.append(f"{len(text)} characters")
    if not re.match(r"[A-Z0-9{`]" if title else r"[A-Za-z0-9{`'\"…•\[\\(-]", text.lstrip()):
        found.append("begins with neither a field nor a letter")
    if BAD_END.search(text):
        found.append("ends badly")
    if unclear := UNCLEAR.search(text):
        found.append(unclear[0])
    if metaphors := set(re.findall(r"[a-z]+", NAMES.sub("", text).lower())) & BANNED:
        found.append(" ".join(metaphors))
    return found


def test_faults_are_seen() -> None:
    assert faults("tokens must be an integer from 0 to {}", title=False) == []
    assert faults("Seconds of one transaction", title=True) == []
    assert faults("seconds of one transaction", title=True) == ["begins with neither a field nor a letter"]
    assert faults("{}: want a whole number", title=False) == ["want"]
    assert faults("the desk is closed;", title=False) == ["ends badly", "desk"]
    assert faults("x" * 161, title=False) == ["161 characters"]


def test_messages_are_plain() -> None:
    """Errors, printed lines and help."""
    messages = collected(spoken)
    assert len(messages) > 500
    assert [(*one, found) for one in messages if (found := faults(one[2], title=False))] == []


def test_descriptions_are_plain() -> None:
    """Metrics, operations of the API and alerts."""
    messages = [*collected(titled), *alerts()]
    assert len(messages) > 120
    assert [(*one, found) for one in messages if (found := faults(one[2], title=True))] == []
