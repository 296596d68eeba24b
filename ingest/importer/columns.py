"""Which column of a usage file feeds which field of a meter event. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

TIME = "timestamp"
NUMBERS = ("tokens", "tokens_input", "tokens_output")
NAMES = ("agent_id", "action", "outcome", "task_id", "model", "provider", "trace_id")
FIELDS = (*NUMBERS, *NAMES, TIME)

ALIASES: Mapping[str, tuple[str, ...]] = {
    "tokens_input": (
        "tokensinput", "inputtokens", "prompttokens", "contexttokens", "tokensin", "inputtokencount",
        "prompttokencount", "numinputtokens", "numprompttokens",
    ),
    "tokens_output": (
        "tokensoutput", "outputtokens", "completiontokens", "generatedtokens", "tokensout", "outputtokencount",
        "completiontokencount", "candidatestokencount", "numoutputtokens", "numgeneratedtokens",
    ),
    "tokens": ("tokens", "totaltokens", "tokencount", "totaltokencount", "numtokens"),
    "timestamp": ("timestamp", "eventtime", "createdat", "occurredat", "datetime", "time", "created", "ts"),
    "agent_id": ("agentid", "agent", "agentname"),
    "action": ("action", "actiontype"),
    "outcome": ("outcome",),
    "task_id": ("taskid",),
    "model": ("model", "modelname", "modelid"),
    "provider": ("provider", "vendor"),
    "trace_id": ("traceid",),
}  # fmt: skip
"""For each field the headers that are taken for it, best first, without case or punctuation."""


class MappingError(ValueError):
    """--map or --set asks for something that cannot be."""


class Plan(NamedTuple):
    """Field to column for one set of columns; ``unused`` columns feed nothing."""

    sources: dict[str, str]
    metadata: dict[str, str]
    unused: list[str]


class Columns:
    """The mapping of a whole import: what --map and --set say, then the aliases.

    ``mapped`` is field to column (an empty column: take none); a field ``metadata.x`` feeds
    metadata. ``fixed`` is the same value for every row.
    """

    def __init__(self, mapped: Mapping[str, str], fixed: Mapping[str, str]) -> None:
        for field in (*mapped, *fixed):
            if field not in FIELDS and not field.startswith("metadata."):
                raise MappingError(f"{field!r} is not a field; the fields are {', '.join(FIELDS)}, metadata.*")
        both = sorted(mapped.keys() & fixed.keys())
        if both:
            raise MappingError(f"{both[0]}: either --map or --set, not both")
        self.mapped, self.fixed = dict(mapped), dict(fixed)

    def plan(self, columns: Sequence[str]) -> Plan:
        """The plan for rows with these columns."""
        sources = {f: c for f, c in self.mapped.items() if c and f in FIELDS and c in columns}
        taken = set(self.mapped.values())
        by_name = _by_name(c for c in columns if c not in taken)
        for field, names in ALIASES.items():
            if field not in self.mapped and field not in self.fixed:
                column = next((by_name[n] for n in names if n in by_name), None)
                if column is not None:
                    sources[field] = column
        metadata = {f.removeprefix("metadata."): c for f, c in self.mapped.items() if f not in FIELDS and c in columns}
        used = {*sources.values(), *metadata.values()}
        return Plan(sources, metadata, [c for c in columns if c not in used])

    def missing(self, columns: Sequence[str]) -> list[str]:
        """Columns that --map names and the header does not have."""
        return [column for column in self.mapped.values() if column and column not in columns]


def _by_name(columns: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for column in columns:
        found.setdefault(re.sub(r"[^a-z0-9]", "", column.lower()), column)
    return found


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """``a=b,c=d`` (repeatable) as a mapping. Raises MappingError naming the option."""
    found: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",")):
        field, equals, value = part.partition("=")
        if not equals or not field.strip():
            raise MappingError(f"{option} {part!r}: want field=value")
        if field.strip() in found:
            raise MappingError(f"{option}: {field.strip()} twice")
        found[field.strip()] = value.strip()
    return found
