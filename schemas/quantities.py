"""Quantities of a meter event, and the lines that they are charged in. Pure, exact; uses no floats.

A quantity is an exact decimal from 0 to 10^12 with at most 6 decimals, as canonical decimal text. Token kinds are whole
numbers and disjoint: ``input`` excludes what was read from or written to a cache, ``output`` excludes reasoning.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Protocol

import msgspec

MAX_QUANTITIES = 32
"""Maximum quantities of one event."""
MAX_RATES = 64
"""Maximum rates of one price."""
MAX_QUANTITY = 10**12
DECIMALS = 6
MICRO: int = 10**DECIMALS
"""Micro-units in a unit."""
MAX_PER = 10**9
"""Maximum units that a rate is stated for."""

INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING = "input", "output", "cache_read", "cache_write", "reasoning"
TOKEN_KINDS = (INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING)
"""Quantities that are tokens: ``tokens`` is their sum, and one without a rate of its own has the token rate."""
EVENT, TOKENS, SUCCESS = "event", "tokens", "success"
COMPONENTS = (EVENT, TOKENS, SUCCESS)
"""Components of a price that are not quantities: the base rate, tokens at the token rate, and the bonus."""

CAP, MINIMUM = "cap", "minimum"
"""Components of a month: what an event costs beyond the cap, as a negative line; what the month falls short of its
minimum. A price that has one of these terms has no rate for a quantity of that name."""

NAME = re.compile(r"[a-z0-9_.]{1,64}", re.ASCII)
_TEXT = re.compile(r"\d{1,13}(\.\d{1,6})?", re.ASCII)


class QuantityError(ValueError):
    """A quantity that Rev cannot hold exactly, or that is out of bounds."""


class QuantityRate(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A rate of a price for one quantity: ``rate`` cents (canonical text) for every ``per`` units."""

    name: str
    rate: str
    per: int = 1


class Line(msgspec.Struct, frozen=True, gc=False):
    """A line of a priced entry: ``quantity`` at ``rate`` cents for every ``per`` units costs ``cents``."""

    component: str
    quantity: str
    rate: str
    per: int
    cents: str


class Itemized(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """The part of an amount that is charged by quantity, as entries, receipts and voids hold it.

    An amount is base + token + bonus + quantity. ``lines`` explain token and quantity, and are absent from an entry
    that has only tokens at the token rate.
    """

    quantity: str = "0"
    """Cents for quantities that are not tokens."""
    lines: tuple[Line, ...] = ()


class _Counted(Protocol):
    @property
    def tokens_input(self) -> int | None: ...
    @property
    def tokens_output(self) -> int | None: ...
    @property
    def quantities(self) -> Mapping[str, str]: ...


class ForQuantity(Protocol):
    """What is for one quantity."""

    @property
    def name(self) -> str: ...


def all_quantities(event: _Counted) -> dict[str, str]:
    """Return every quantity of an event by name: input and output, which have fields of their own, and the others."""
    found = {} if event.tokens_input is None else {INPUT: str(event.tokens_input)}
    if event.tokens_output is not None:
        found[OUTPUT] = str(event.tokens_output)
    return {**found, **event.quantities} if event.quantities else found


def without_rate(names: Iterable[str], rates: Iterable[ForQuantity]) -> str | None:
    """Return the first name that a price has no rate or steps for, or None. Token kinds always have the token rate."""
    known = {rate.name for rate in rates}
    return next((name for name in names if name not in known and name not in TOKEN_KINDS), None)


def no_rate(name: str, action: str) -> str:
    """Return the error message for a quantity that the price of an action has no rate for."""
    return f"quantities.{name} must have a rate in the price of action {action!r}"


def format_quantity(micro: int) -> str:
    """Return the canonical text of a quantity in micro-units: no trailing zeros.

    >>> format_quantity(12_500_000)
    '12.5'
    """
    whole, part = divmod(micro, MICRO)
    return f"{whole}.{part:0{DECIMALS}d}".rstrip("0") if part else str(whole)


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> int:
    """Return the micro-units of decimal text. Raises QuantityError for anything but a number from 0 to 10^12 with at
    most 6 decimals."""
    if not _TEXT.fullmatch(text):
        raise QuantityError(f"must be a number from 0 to {MAX_QUANTITY} with at most {DECIMALS} decimals")
    whole, _, part = text.partition(".")
    micro: int = int(whole) * MICRO + int(part.ljust(DECIMALS, "0"))
    if micro > MAX_QUANTITY * MICRO:
        raise QuantityError(f"must be at most {MAX_QUANTITY}")
    return micro
