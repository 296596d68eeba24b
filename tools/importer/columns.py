"""Maps columns of a usage file to fields of a meter event. Pure."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.labels import ABOUT, LABELS

TIME = "timestamp"
KEY = "idempotency_key"
CUSTOMER = "customer_id"
TOKENS = "tokens"
PARTS = ("tokens_input", "tokens_output")
NUMBERS = (TOKENS, *PARTS)
NAMES = ("agent_id", "action", "outcome", *LABELS)
FIELDS = (*NUMBERS, *NAMES, TIME, KEY, CUSTOMER)
METADATA = "metadata."
SOURCE_TIME = "source_time"
"""Name in metadata under which a time outside the server's bounds is kept."""

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
    **{name: (name.replace("_", ""), *about.headers) for name, about in ABOUT.items()},
    "customer_id": ("customerid",),
}  # fmt: skip
"""Headers recognised for each field, best first, without case or punctuation. idempotency_key has none: a
column becomes the key only with --map."""

NEAR = 0.85
"""Similarity (difflib's ratio) above which a name counts as a misspelling of another."""
EDGES = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
"""Invisible characters, which str.strip does not remove."""


class MappingError(ValueError):
    """Error: --map or --set is invalid, or the columns are ambiguous."""


class ColumnPlan(NamedTuple):
    """Field to column for one set of columns; ``unused`` columns feed no field."""

    sources: dict[str, str]
    metadata: dict[str, str]
    unused: list[str]


def trimmed(text: str) -> str:
    """Return a name without blanks and invisible characters at its ends, in Unicode's composed form (NFC)."""
    text = text.strip()
    if text.isascii():
        return text
    previous = ""
    while previous != text:
        previous, text = text, text.strip(EDGES).strip()
    return unicodedata.normalize("NFC", text)


class Columns:
    """Mapping of a whole import: --map and --set, then the aliases.

    ``mapped`` is field to column (an empty column: use none); a field ``metadata.x`` feeds metadata.
    ``fixed`` is the same value for every row.
    """

    def __init__(self, mapped: Mapping[str, str], fixed: Mapping[str, str]) -> None:
        for field in (*mapped, *fixed):
            if field == METADATA + SOURCE_TIME:
                raise MappingError(f"{field} is reserved for times that the gateway does not accept; use another name")
            if field not in FIELDS and not field.startswith(METADATA):
                near = _mean(field, FIELDS)
                raise MappingError(f"{field!r} is not a field{near}; the fields are {', '.join(FIELDS)}, metadata.*")
        if KEY in fixed:
            raise MappingError(f"--set {KEY}: every row needs a key of its own; use --map {KEY}=COLUMN")
        both = sorted(mapped.keys() & fixed.keys())
        if both:
            raise MappingError(f"{both[0]}: use either --map or --set, not both")
        self.mapped, self.fixed = dict(mapped), dict(fixed)

    def plan(self, columns: Sequence[str]) -> ColumnPlan:
        """Return the plan for rows with these columns. Raises MappingError if two columns could feed one field."""
        sources = {f: c for f, c in self.mapped.items() if c and f in FIELDS and c in columns}
        taken = set(self.mapped.values())
        by_name = _by_name(c for c in columns if c not in taken)
        for field, names in ALIASES.items():
            if field not in self.mapped and field not in self.fixed:
                found = next((by_name[n] for n in names if n in by_name), None)
                if found is not None and len(found) > 1:
                    raise MappingError(
                        f"the columns {found[0]!r} and {found[1]!r} could both be {field}: choose one with"
                        f" --map {field}=COLUMN"
                    )
                if found is not None:
                    sources[field] = found[0]
        metadata = {
            f.removeprefix(METADATA): c for f, c in self.mapped.items() if c and f not in FIELDS and c in columns
        }
        used = {*sources.values(), *metadata.values()}
        return ColumnPlan(sources, metadata, [c for c in columns if c not in used])

    def missing(self, columns: Iterable[str]) -> str | None:
        """Return the message about the first column that --map names and the file does not have, or None."""
        there = list(columns)
        for column in self.mapped.values():
            if column and column not in there:
                return f"--map: there is no column {column!r}{_mean(column, there)}; the columns are {', '.join(there)}"
        return None

    @property
    def maps_tokens(self) -> bool:
        """True if --map or --set gives the tokens, even if only to say that there are none."""
        return any(field in self.mapped or field in self.fixed for field in NUMBERS)

    def near_tokens(self, sources: Iterable[str], unused: Iterable[str]) -> tuple[str, str] | None:
        """Return a token field without a column and an unused column that is nearly one of its names, or None."""
        given = {*sources, *self.mapped, *self.fixed}
        if TOKENS in given:
            return None
        for column in unused:
            name = plain(column)
            for field in (f for f in NUMBERS if f not in given):
                if difflib.get_close_matches(name, ALIASES[field], 1, NEAR):
                    return field, column
        return None

    def lacks_tokens(self, plan: ColumnPlan) -> str | None:
        """Return what is wrong with a row of these columns, in a file whose other rows give their tokens:
        None, or a sentence. In JSON each row names its columns, and some rows may misspell them."""
        near = self.near_tokens(plan.sources, plan.unused)
        if near is not None:
            field, column = near
            return f"has a column {column!r}, which looks like a misspelt {field}"
        told = any(field in self.fixed or self.mapped.get(field) == "" for field in NUMBERS)
        if not told and not any(field in plan.sources for field in NUMBERS):
            return "has no tokens (--no-tokens charges such rows the base price only)"
        return None

    def rivals(self, sources: Mapping[str, str], unused: Iterable[str]) -> list[tuple[str, str, str]]:
        """Return each field, its column, and an unused column that could have fed it as well."""
        rest = {plain(column): column for column in unused}
        return [
            (field, column, rest[name])
            for field, column in sources.items()
            if field not in self.mapped
            for name in ALIASES.get(field, ())
            if name in rest
        ]


def plain(column: str) -> str:
    """Return a column's name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


def _by_name(columns: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(plain(column), []).append(column)
    return found


def _mean(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Parse ``a=b,c=d`` (repeatable) into a mapping. Raises MappingError naming the option."""
    found: dict[str, str] = {}
    for part in (part for text in texts for part in text.split(",")):
        field, equals, value = part.partition("=")
        if not equals or not field.strip():
            raise MappingError(f"{option} must be of the form FIELD=VALUE, not {part!r}")
        if field.strip() in found:
            raise MappingError(f"{option}: {field.strip()} is given twice")
        found[field.strip()] = trimmed(value)
    return found
