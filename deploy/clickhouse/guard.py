"""What an analyst may ask: a second check in addition to the engine's own grants. Pure.

The engine limits an analyst to SELECT on database `rev`, except names that begin with `_`
(config.py). It protects neither the system tables nor functions such as file() and
getServerSetting(), and it knows only one user. So those are refused here, by the engine's own
parse of the statement (EXPLAIN AST with the parameters filled in). Allowed kinds of nodes,
functions and databases are listed: what a later engine adds is refused until someone has
reviewed it.
"""

import re
from collections.abc import Iterable

from deploy.clickhouse.config import DATABASE
from deploy.clickhouse.errors import ClickHouseError, denied, read_only, refusal

_LINE = re.compile(r"^(?P<depth> *)(?P<kind>[A-Za-z:]+)(?: (?P<rest>.*?))??(?: \(alias .*\))?(?: \(children \d+\))?$")
_ROOTS = frozenset({"SelectWithUnionQuery", "DescribeQuery"})
_KIND_NAMES = """
    ArrayJoin Asterisk ColumnsExceptTransformer ColumnsListMatcher ColumnsRegexpMatcher ColumnsReplaceTransformer
    ColumnsReplaceTransformer::Replacement ColumnsTransformerList ExpressionList Function Identifier InterpolateElement
    Literal OrderByElement QualifiedAsterisk QualifiedColumnsListMatcher QualifiedColumnsRegexpMatcher SampleRatio
    SelectIntersectExceptQuery SelectQuery StorageOrderByElement Subquery TableExpression TableIdentifier TableJoin
    TablesInSelectQuery TablesInSelectQueryElement WindowDefinition WindowListElement WithElement
"""
_KINDS = _ROOTS | frozenset(_KIND_NAMES.split())
_TABLE_FUNCTIONS = frozenset({"numbers", "values", "generate_series", "generateseries", "zeros", "sqlstandardvalues"})

_CATEGORY_NAMES = """
    Aggregate_Functions Arithmetic Arrays Bit Bitmap Comparison Conditional Dates_and_Times Distance Encoding
    Financial Hash IP_Address JSON Logical Map Mathematical Null Random_Number Rounding String String_Replacement
    String_Search String_Splitting Time_Window Tuple Type_Conversion URL UUID Window_Functions
"""
_CATEGORIES = frozenset(_CATEGORY_NAMES.split())
# From categories that are not allowed as a whole, and what the parser turns operators into.
_FUNCTION_NAMES = """
    bar byteSize caseWithExpression countDigits currentDatabase currentUser displayName exists
    formatReadableDecimalSize     formatReadableQuantity formatReadableSize formatReadableTimeDelta grouping cube
    rollup identity ignore     isDecimalOverflow lambda materialize neighbor rowNumberInAllBlocks runningAccumulate
    runningDifference throwIf toTypeName     transform untuple version visibleWidth _CAST __scalarSubqueryResult
    countDistinct
"""
_NAMES = frozenset(_FUNCTION_NAMES.split())
# Exceptions from the allowed categories.
_NOT = frozenset(name.lower() for name in ("serverTimezone", "flameGraph", "aggThrow", "estimateCompressionRatio"))

_HANDSHAKE = re.compile(
    rb"SELECT name, value, readonly FROM system\.settings LIMIT 10000(?P<end>(?:\s+FORMAT \w+)?\s*)"
)
"""Query of clickhouse-connect when it connects: it sends only settings that are not read-only."""

LIMITS = {"max_execution_time": 30, "max_memory_usage": 256 << 20, "max_threads": 1}
"""Seconds, bytes, threads: limits of one analyst's query, which may ask for less."""
_LOWER = frozenset({*LIMITS, "max_rows_to_read", "max_bytes_to_read", "max_result_rows", "max_result_bytes"})
_FREE_NAMES = """
    max_block_size session_timezone join_use_nulls result_overflow_mode limit offset date_time_output_format extremes
    output_format_json_quote_64bit_integers output_format_json_quote_decimals output_format_json_quote_denormals
    output_format_native_encode_types_in_binary_format output_format_decimal_trailing_zeros
    output_format_json_named_tuples_as_objects output_format_write_statistics
"""
_FREE = frozenset(_FREE_NAMES.split())
SETTINGS = _LOWER | _FREE
"""The settings that an analyst may send."""


def allowed_functions(functions: Iterable[tuple[str, str]], combinators: Iterable[str]) -> "Functions":
    """Return the allowed functions, from the engine's list of (name, category) and of aggregate combinators."""
    names = {name.lower() for name, category in functions if category.replace(" ", "_") in _CATEGORIES}
    aggregates = {name.lower() for name, category in functions if category == "Aggregate Functions"}
    names |= {name.lower() for name in _NAMES}
    return Functions(frozenset(names - _NOT), frozenset(aggregates - _NOT), tuple(c.lower() for c in combinators))


class Functions:
    """The functions that analysts may call, by name in any case, including combinators."""

    def __init__(self, names: frozenset[str], aggregates: frozenset[str], combinators: tuple[str, ...]) -> None:
        self._names = names
        self._aggregates = aggregates
        self._combinators = combinators

    def __contains__(self, name: str) -> bool:
        low = name.lower()
        return low in self._names or self._combined(low)

    def _combined(self, name: str) -> bool:
        """True if it is an aggregate function followed by combinators, such as sumIf."""
        stems = [name[: -len(end)] for end in self._combinators if name.endswith(end)]
        return any(stem in self._aggregates or self._combined(stem) for stem in stems)


def settings(wanted: dict[str, str]) -> dict[str, str]:
    """Return the settings of an analyst's query: the limits, lowered where the query asks for less.

    Raises ClickHouseError for a setting that an analyst may not send.
    """
    result = {name: str(limit) for name, limit in LIMITS.items()}
    for name, value in wanted.items():
        if name == "readonly":
            continue  # set after everything else, whatever the request says
        if name not in SETTINGS:
            raise refusal(452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name[:60]} is not allowed for analysts")
        if name in _LOWER:
            if not re.fullmatch(r"\d{1,18}", value):
                raise refusal(452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name} must be an integer")
            if name in LIMITS:
                value = str(min(int(value) or LIMITS[name], LIMITS[name]))
        result[name] = value
    return result


def handshake(sql: bytes) -> bytes | None:
    """Return the replacement for the handshake statement, or None for any other statement.

    It shows as changeable what analysts may send. It is ours and needs no check.
    """
    match = _HANDSHAKE.fullmatch(sql)
    if match is None:
        return None
    names = ", ".join(f"'{name}'" for name in sorted(SETTINGS))
    listed = f"SELECT name, value, toUInt8(name NOT IN ({names})) AS readonly FROM system.settings LIMIT 10000"
    return listed.encode() + match["end"]


def check(ast: str, functions: Functions) -> None:
    """Raise ClickHouseError unless the tree is a query that an analyst may make."""
    parents: list[str] = []
    for number, line in enumerate(ast.rstrip("\n").split("\n")):
        match = _LINE.fullmatch(line)
        kind, rest = (match["kind"], match["rest"] or "") if match else ("?", "")
        if number == 0 and kind not in _ROOTS:
            raise read_only() if kind != "?" else denied("the statement cannot be parsed")
        if match is None or kind not in _KINDS or (number > 0 and kind in _ROOTS - {"SelectWithUnionQuery"}):
            raise denied(f"analysts must not use {kind[:40]}")
        depth = len(match["depth"])
        del parents[depth:]
        parent = parents[-1] if parents else ""
        _check_node(kind, rest, parent, functions)
        parents.append(kind)
    if not parents:
        raise denied("the statement cannot be parsed")


def _check_node(kind: str, rest: str, parent: str, functions: Functions) -> None:
    if kind == "TableIdentifier":
        _check_table(rest)
    elif kind == "Identifier" and rest.partition(".")[0].lower() in ("system", "information_schema"):
        raise denied(f"analysts must not read {rest[:80]}")
    elif kind == "Function":
        if parent == "TableExpression":
            if rest.lower() not in _TABLE_FUNCTIONS:
                raise denied(f"analysts must not use the table function {rest[:40]}")
        elif rest not in functions and rest.lower() != "sqlstandardvalues":
            raise denied(f"analysts must not use the function {rest[:40]}")


def _check_table(name: str) -> None:
    parts = name.split(".")
    database = parts[0] if len(parts) > 1 else DATABASE
    if len(parts) > 2 or database != DATABASE or parts[-1].startswith("_"):
        raise denied(f"analysts must not read {name[:80]}")


def explained(error: ClickHouseError) -> ClickHouseError:
    """Return an error of EXPLAIN AST as the statement itself would have raised it."""
    return ClickHouseError(error.code, error.text.replace("EXPLAIN AST ", ""))
