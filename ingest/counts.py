"""Quantities of an event as a sender gives them, in all spellings, as tokens and quantities. Pure."""

import re
from collections.abc import Iterator
from decimal import Context, Decimal, InvalidOperation

import msgspec
from msgspec import UNSET

from ingest import provider_usage
from ingest.bodies import EventBody
from ingest.json_objects import decoded_object
from ingest.problems import Invalid
from schemas.limits import MAX_TOKENS
from schemas.quantities import (
    CACHE_READ,
    CACHE_WRITE,
    COMPONENTS,
    DECIMALS,
    INPUT,
    MAX_QUANTITIES,
    MAX_QUANTITY,
    MICRO,
    NAME,
    OUTPUT,
    REASONING,
    TOKEN_KINDS,
    format_quantity,
)

SPELLINGS = {
    INPUT: ("tokens_input", "tokens_in"),
    OUTPUT: ("tokens_output", "tokens_out"),
    CACHE_READ: ("tokens_cache_read",),
    CACHE_WRITE: ("tokens_cache_write",),
    REASONING: ("tokens_reasoning",),
}
"""For each token kind, the fields of a body that hold it besides ``quantities``."""
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", re.ASCII)
_EXACT = Context(prec=100)
"""Holds every digit that _NUMBER allows."""
_WANTED = f"must be a number from 0 to {MAX_QUANTITY} with at most {DECIMALS} decimals"


NOTHING: dict[str, str] = {}
Counted = tuple[int, int | None, int | None, dict[str, str]]
"""What an event counts: tokens, input and output (None unless the sender gave one of them), and other quantities."""


def counted(body: EventBody) -> Counted:
    """Return the tokens and quantities of a body. Raises Invalid naming the field."""
    if body.quantities is None and body.tokens_in is None and body.tokens_out is None and body.usage is UNSET:
        # the fields of most events
        part_in, part_out, given = body.tokens_input, body.tokens_output, body.tokens
        read, written, reasoning = body.tokens_cache_read, body.tokens_cache_write, body.tokens_reasoning
        tokens, others = 0, NOTHING
        if read is not None or written is not None or reasoning is not None:
            parts = ((CACHE_READ, read), (CACHE_WRITE, written), (REASONING, reasoning))
            others = {kind: str(count) for kind, count in parts if count is not None}
            tokens = (read or 0) + (written or 0) + (reasoning or 0)
        if part_in is not None or part_out is not None:
            part_in, part_out = part_in or 0, part_out or 0
            tokens += part_in + part_out
        elif not others:
            return given or 0, None, None, NOTHING
        if tokens <= MAX_TOKENS and (given is None or given == tokens):
            return tokens, part_in, part_out, others
    return _counted(body)


def _counted(body: EventBody) -> Counted:
    given = {name: quantity(name, raw) for name, raw in (body.quantities or {}).items()}
    spelled = {name: f"quantities.{name}" for name in given}
    for kind, field, count in _counts(body):
        if given.setdefault(kind, count * MICRO) != count * MICRO:
            raise Invalid(f"{spelled[kind]} and {field} must be equal; send only one of them")
        spelled.setdefault(kind, field)
    if len(given) > MAX_QUANTITIES:
        raise Invalid(f"quantities must have at most {MAX_QUANTITIES} names, not {len(given)}")
    kinds = {kind: _whole(kind, given.pop(kind)) for kind in TOKEN_KINDS if kind in given}
    tokens = sum(kinds.values())
    if tokens > MAX_TOKENS:
        raise Invalid(f"{_named(spelled, kinds)} must be at most {MAX_TOKENS} together")
    if body.tokens is not None and (kinds or body.usage is not UNSET) and body.tokens != tokens:
        raise Invalid(f"tokens must be the sum of {_named(spelled, kinds) or 'usage'} ({tokens}), not {body.tokens}")
    part_in, part_out = kinds.pop(INPUT, None), kinds.pop(OUTPUT, None)
    if part_in is not None or part_out is not None:
        part_in, part_out = part_in or 0, part_out or 0
    others = {kind: str(count) for kind, count in kinds.items()}
    others.update((name, format_quantity(given[name])) for name in sorted(given))
    return tokens if kinds or part_in is not None else body.tokens or 0, part_in, part_out, others


def _counts(body: EventBody) -> Iterator[tuple[str, str, int]]:
    """Yield each count of tokens that is given outside of ``quantities``: kind, field, count."""
    for kind, fields in SPELLINGS.items():
        for field in fields:
            count = getattr(body, field)
            if count is not None:
                yield kind, field, count
    if body.usage is not UNSET and bytes(body.usage) != b"null":
        usage = decoded_object("usage", bytes(body.usage))
        for kind, count in provider_usage.quantities_of(body.provider, usage).items():
            yield kind, "usage", count


def quantity(name: str, raw: msgspec.Raw) -> int:
    """Return a quantity's JSON text, a number or decimal text, in micro-units. Raises Invalid naming the field."""
    field = f"quantities.{name[:80]}"
    if not NAME.fullmatch(name):
        raise Invalid(f"{field} must have a name of 1 to 64 characters: a-z, 0-9, _ and .")
    if name in COMPONENTS:
        raise Invalid(f"{field} has a reserved name; choose another one")
    return micro_units(field, raw)


def micro_units(field: str, raw: msgspec.Raw) -> int:
    """Return a count's JSON text, a number or decimal text, in micro-units. Raises Invalid naming the field."""
    text = bytes(raw).decode("utf-8", "replace")
    if text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"{field} {_WANTED}")
    try:
        micro = Decimal(text).scaleb(DECIMALS, _EXACT)
        whole = micro.to_integral_exact(context=_EXACT)
    except InvalidOperation:
        raise Invalid(f"{field} {_WANTED}") from None
    if whole != micro or not 0 <= whole <= MAX_QUANTITY * MICRO:
        raise Invalid(f"{field} {_WANTED}")
    return int(whole)


def _whole(kind: str, micro: int) -> int:
    count, part = divmod(micro, MICRO)
    if part:
        raise Invalid(f"quantities.{kind} must be an integer, since it counts tokens")
    return count


def _named(spelled: dict[str, str], kinds: dict[str, int]) -> str:
    return " and ".join(dict.fromkeys(spelled[kind] for kind in kinds))
