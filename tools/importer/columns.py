"""Maps columns of a usage file to fields of a meter event. Pure."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.labels import ABOUT, LABELS
from schemas.quantities import CACHE_READ, CACHE_WRITE, COMPONENTS, NAME, REASONING, TOKEN_KINDS

TIME = "timestamp"
KEY = "idempotency_key"
CUSTOMER = "customer_id"
TOKENS = "tokens"
PARTS = ("tokens_input", "tokens_output")
NUMBERS = (TOKENS, *PARTS)
OF_KIND = "tokens_"
"""Beginning of the fields of token kinds; the kind follows."""
KINDS = tuple(OF_KIND + kind for kind in (CACHE_READ, CACHE_WRITE, REASONING))
"""Fields of token kinds that are neither input nor output, and not within them."""
QUANTITIES = "quantities"
"""Field of a column whose cells are objects of quantities by name."""
QUANTITY = "quantities."
"""Beginning of the fields of single quantities; the name follows."""
NAMES = ("agent_id", "action", "outcome", *LABELS)
FIELDS = (*NUMBERS, *KINDS, QUANTITIES, *NAMES, TIME, KEY, CUSTOMER)
METADATA = "metadata."
ALL_FIELDS = ", ".join((*FIELDS, f"{QUANTITY}NAME", f"{METADATA}NAME"))
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
    **{field: (field.replace("_", ""),) for field in KINDS},
    QUANTITIES: (QUANTITIES,),
    "timestamp": ("timestamp", "eventtime", "createdat", "occurredat", "datetime", "time", "created", "ts"),
    "agent_id": ("agentid", "agent", "agentname"),
    "action": ("action", "actiontype"),
    "outcome": ("outcome",),
    **{name: (name.replace("_", ""), *about.headers) for name, about in ABOUT.items()},
    "customer_id": ("customerid",),
}  # fmt: skip
"""Headers recognised for each field, best first, without case or punctuation. idempotency_key has none: a
column becomes the key only with --map."""

BESIDE_INPUT: Mapping[str, tuple[str, ...]] = {
    OF_KIND + CACHE_READ: ("cachereadinputtokens",),
    OF_KIND + CACHE_WRITE: ("cachecreationinputtokens", "cachewriteinputtokens"),
}
"""Headers of providers whose ``input_tokens`` exclude these (Anthropic, Bedrock): recognised beside a column of that
name only. Elsewhere a cached count may be within the input tokens, and would be charged twice."""
INPUT_TOKENS = "inputtokens"

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
        mapped, fixed = _by_field("--map", mapped), _by_field("--set", fixed)
        for field in (*mapped, *fixed):
            if field == METADATA + SOURCE_TIME:
                raise MappingError(f"{field} is reserved for times that the gateway does not accept; use another name")
            if field.startswith(QUANTITY):
                _check_quantity(field, field.removeprefix(QUANTITY))
            elif field not in FIELDS and not field.startswith(METADATA):
                near = _mean(field, FIELDS)
                raise MappingError(f"{field!r} is not a field{near}; the fields are {ALL_FIELDS}")
        if QUANTITIES in fixed:
            raise MappingError(f"--set {QUANTITIES}: name each one, --set {QUANTITY}NAME=NUMBER")
        if KEY in fixed:
            raise MappingError(f"--set {KEY}: every row needs a key of its own; use --map {KEY}=COLUMN")
        both = sorted(mapped.keys() & fixed.keys())
        if both:
            raise MappingError(f"{both[0]}: use either --map or --set, not both")
        self.mapped, self.fixed = mapped, fixed

    def plan(self, columns: Sequence[str]) -> ColumnPlan:
        """Return the plan for rows with these columns. Raises MappingError if two columns could feed one field."""
        sources = {f: c for f, c in self.mapped.items() if c and not f.startswith(METADATA) and c in columns}
        taken = set(self.mapped.values())
        by_name = _by_name(c for c in columns if c not in taken)
        self._add_known(sources, ALIASES, by_name)
        if plain(sources.get(PARTS[0], "")) == INPUT_TOKENS:
            self._add_known(sources, BESIDE_INPUT, by_name)
        for column in columns:
            if column not in taken and column.lower().startswith(QUANTITY):
                self._add_quantity(sources, column)
        metadata = {
            f.removeprefix(METADATA): c for f, c in self.mapped.items() if c and f.startswith(METADATA) and c in columns
        }
        used = {*sources.values(), *metadata.values()}
        return ColumnPlan(sources, metadata, [c for c in columns if c not in used])

    def _add_known(
        self, sources: dict[str, str], known: Mapping[str, tuple[str, ...]], by_name: Mapping[str, list[str]]
    ) -> None:
        """Add the columns whose names are ``known`` for a field. Raises MappingError."""
        for field, names in known.items():
            if field in self.mapped or field in self.fixed or field in sources:
                continue
            found = next((by_name[n] for n in names if n in by_name), None)
            if found is not None and len(found) > 1:
                raise _ambiguous(field, found[0], found[1])
            if found is not None:
                sources[field] = found[0]

    def _add_quantity(self, sources: dict[str, str], column: str) -> None:
        """Add a column that is named as a field of a quantity. Raises MappingError."""
        field = column.lower()
        _check_quantity(f"the column {column!r}", field.removeprefix(QUANTITY))
        field = field_of(field)
        if field in self.mapped or field in self.fixed:
            return
        if field in sources:
            raise _ambiguous(field, sources[field], column)
        sources[field] = column

    def missing(self, columns: Iterable[str]) -> str | None:
        """Return the message about the first column that --map names and the file does not have, or None."""
        there = list(columns)
        for column in self.mapped.values():
            if column and column not in there:
                return f"--map: there is no column {column!r}{_mean(column, there)}; the columns are {', '.join(there)}"
        return None

    @property
    def maps_tokens(self) -> bool:
        """True if --map or --set gives tokens or quantities, even if only to say that there are no tokens."""
        return any(field in self.mapped for field in NUMBERS) or counts(
            (*self.fixed, *(field for field, column in self.mapped.items() if column))
        )

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
        told = counts(self.fixed) or any(self.mapped.get(field) == "" for field in NUMBERS)
        if not told and not counts(plan.sources):
            return "has no tokens and no quantities (--no-tokens charges such rows the base price only)"
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


def field_of(name: str) -> str:
    """Return the field that a name of --map stands for: a token kind has one field, under two names."""
    kind = name.removeprefix(QUANTITY)
    return OF_KIND + kind if name != kind and kind in TOKEN_KINDS else name


def counts(fields: Iterable[str]) -> bool:
    """True if any of the fields counts tokens or other quantities."""
    return any(field in NUMBERS or field in KINDS or field.startswith(QUANTITIES) for field in fields)


def quantity_problem(name: str) -> str | None:
    """Return what is wrong with the name of a quantity, or None."""
    if not NAME.fullmatch(name):
        return "the name must be 1 to 64 characters of a-z, 0-9, _ and ."
    return "the name is reserved" if name in COMPONENTS else None


def likely_kind(column: str) -> str | None:
    """Return the field of the token kind that a column seems to count, or None. It may be within another column."""
    name = plain(column)
    if "token" not in name:
        return None
    if "cache" in name:
        return OF_KIND + (CACHE_WRITE if "writ" in name or "creat" in name else CACHE_READ)
    return OF_KIND + REASONING if any(word in name for word in ("reasoning", "thought", "thinking")) else None


def _check_quantity(what: str, name: str) -> None:
    problem = quantity_problem(name)
    if problem is not None:
        raise MappingError(f"{what}: {problem}")


def _ambiguous(field: str, first: str, second: str) -> MappingError:
    return MappingError(
        f"the columns {first!r} and {second!r} could both be {field}: choose one with --map {field}=COLUMN"
    )


def _by_field(option: str, given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in given.items():
        field = field_of(name)
        if field in found:
            raise MappingError(f"{option}: {field} twice, under two names")
        found[field] = value
    return found


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
