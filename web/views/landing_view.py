"""What the landing page shows: measured figures, and an example with its exact price. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from schemas.money import format_cents, parse_cents
from schemas.prices import DEFAULTS
from web.default_prices import PriceLine
from web.views.estimate import FLAT, ModelRates


class Measured(NamedTuple):
    """A figure and what it is; ``row`` and ``cell`` stand in docs/figures.md."""

    value: str
    label: str
    row: str
    cell: str


MEASURED = (
    Measured("8.2 ms", "until the price is in the answer: median at 100 events/s", "latency at 100/s", "p50 8.2 ms"),
    Measured(
        "62,817", "events a second in batches of 100, until queryable", "until the last is queryable", "62,817 events/s"
    ),
    Measured(
        "631 ms", "from the answer to a row in ClickHouse: p99", "answer to queryable in ClickHouse", "p99 631 ms"
    ),
    Measured("5.5 s", "from an empty directory to the first priced event", "to the first priced event", "5.5 s"),
)
ACTION, TOKENS = "completion", 2400
"""The event of the example."""


class PricedExample(NamedTuple):
    """An event and its price: amounts as decimal text in cents."""

    action: str
    tokens: int
    total: str
    base: str
    token: str
    bonus: str


def line_of(lines: Sequence[PriceLine]) -> PriceLine:
    """Return the price for examples: of ACTION, else the first; with no line at all, that of a new log."""
    return next((line for line in lines if line.action == ACTION), lines[0] if lines else _shipped())


def example(line: PriceLine) -> PricedExample:
    """Return a successful event at this price."""
    token = TOKENS * line.token
    amounts = (line.base + token + line.bonus, line.base, token, line.bonus)
    return PricedExample(line.action, TOKENS, *map(format_cents, amounts))


def model_rates(line: PriceLine) -> ModelRates:
    """Return the rates of the simulator at this price."""
    return ModelRates(FLAT, line.base, line.token, line.bonus)


def _shipped() -> PriceLine:
    rates = next(seed.rates for seed in DEFAULTS if seed.action_type == ACTION)
    return PriceLine(ACTION, parse_cents(rates.base), parse_cents(rates.token), parse_cents(rates.bonus))
