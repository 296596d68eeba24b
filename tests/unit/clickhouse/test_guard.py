"""The analysts' rule on trees as the engine prints them; the engine's part is tested with it."""

import pytest

from deploy.clickhouse import guard
from deploy.clickhouse.errors import ClickHouseError

FUNCTIONS = guard.allowed_functions(
    [("sum", "Aggregate Functions"), ("plus", "Arithmetic"), ("file", "Other"), ("dictGet", "Dictionary")],
    ["If", "State"],
)


def tree(*nodes: str) -> str:
    """A SELECT from one table expression with these nodes in it."""
    return "SelectWithUnionQuery (children 1)\n TableExpression (children 1)\n" + "".join(
        f"  {node}\n" for node in nodes
    )


@pytest.mark.parametrize("name", ["sum", "SUM", "sumIf", "sumIfState", "plus", "exists"])
def test_functions_of_allowed_kinds(name: str) -> None:
    """Pure functions are allowed in any case, aggregates with any combinators."""
    assert name in FUNCTIONS


@pytest.mark.parametrize("name", ["file", "FILE", "dictGet", "plusIf", "fileIf", "new_in_a_later_engine"])
def test_functions_that_are_not_listed(name: str) -> None:
    """What reads elsewhere, and what nobody looked at, is refused."""
    assert name not in FUNCTIONS


@pytest.mark.parametrize(
    "node", ["TableIdentifier rev.entries", "TableIdentifier entries (alias e)", "Function numbers (children 1)"]
)
def test_allowed_tables(node: str) -> None:
    """Objects of rev, and functions that only count."""
    guard.check(tree(node), FUNCTIONS)


@pytest.mark.parametrize(
    "node",
    [
        "TableIdentifier rev._stage",
        "TableIdentifier _stage (alias a)",
        "TableIdentifier system.processes",
        "TableIdentifier a.rev.entries",
        "Identifier system.processes",
        "Identifier INFORMATION_SCHEMA.tables",
        "Function file (children 1)",
        "Function sum (children 1)",
        "ColumnsApplyTransformer",
        "Set",
        "something else",
    ],
)
def test_refused_nodes(node: str) -> None:
    """Everything else is refused, kinds of nodes that are not known included."""
    with pytest.raises(ClickHouseError, match="497"):
        guard.check(tree(node), FUNCTIONS)


@pytest.mark.parametrize("ast", ["", "\n", "Explain EXPLAIN (children 1)", "DropQuery", "ShowTables"])
def test_refused_statements(ast: str) -> None:
    """Only SELECT and DESCRIBE are statements for analysts."""
    with pytest.raises(ClickHouseError):
        guard.check(ast, FUNCTIONS)


def test_limits_can_only_be_lowered() -> None:
    """Asking for more, for none, or for readonly=0 changes nothing; unknown settings are refused."""
    limits = {name: str(value) for name, value in guard.LIMITS.items()}
    assert guard.settings({}) == limits
    assert guard.settings({"max_execution_time": "0", "max_memory_usage": "9" * 15, "readonly": "0"}) == limits
    assert guard.settings({"max_execution_time": "3"})["max_execution_time"] == "3"
    for name, value in (("dialect", "prql"), ("max_threads", "-1"), ("max_threads", "1e9")):
        with pytest.raises(ClickHouseError, match="452"):
            guard.settings({name: value})


def test_the_handshake_alone_is_known() -> None:
    """The handshake is rewritten; with anything behind it, it is a statement like any other."""
    known = b"SELECT name, value, readonly FROM system.settings LIMIT 10000"
    assert guard.handshake(known + b"\n FORMAT Native") is not None
    assert guard.handshake(known + b"\n UNION ALL SELECT 1, 2, 3") is None
