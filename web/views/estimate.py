"""What a month of an agent's work earns under each pricing model. Pure, exact integers of pico-cents.

web/static/estimate.js computes the same figures, as the same texts, in the browser; tests/unit/web/test_estimate.py
compares the two.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from schemas.money import PICO, MoneyError, dollars_rounded, format_cents, rate_from_decimal
from web.formats import MINUS
from web.web_refusals import invalid

CALLS = (*(m * 10**k for k in range(2, 6) for m in (10, 12, 15, 20, 25, 30, 40, 50, 60, 80)), 10**7)
"""Calls a month that can be chosen: 1,000 to 10,000,000."""
TOKENS = (*(m * 10**k for k in range(1, 4) for m in (5, 6, 8, 10, 12, 15, 20, 25, 30, 40)), 50_000)
"""Tokens per call that can be chosen: 50 to 50,000."""
SUCCESS = tuple(range(50, 100))
"""Success rates that can be chosen, in percent."""
WIDTH, HEIGHT = 1000, 240
"""Units of the chart."""
LONGEST = 30
"""Characters of a rate that is typed."""


class Workload(NamedTuple):
    """A month: calls, tokens per call, and the share of calls that succeed, in percent."""

    calls: int = 1_000_000
    tokens: int = 2_000
    success: int = 80


class ModelRates(NamedTuple):
    """Pico-cents: the flat price of a call, and the three parts of a Rev price."""

    flat: int
    base: int
    token: int
    bonus: int


FLAT = PICO // 10
"""The flat price that the others are compared with: $0.001 a call."""
CHOICES: dict[str, tuple[int, ...]] = {"calls": CALLS, "tokens": TOKENS, "success": SUCCESS}


def workload(query: Mapping[str, str]) -> Workload:
    """Return the workload of query parameters; what is absent has its default. Raises Refusal naming the field."""
    found = Workload()
    for name, choices in CHOICES.items():
        text = query.get(name)
        if text is None:
            continue
        if text not in {str(one) for one in choices}:
            raise invalid(f"{name} must be one of the values that the page offers, {choices[0]} to {choices[-1]}")
        found = found._replace(**{name: int(text)})
    return found


def rates(query: Mapping[str, str], known: ModelRates) -> ModelRates:
    """Return the rates of query parameters in cents; what is absent is as known. Raises Refusal naming the field."""
    for name in ModelRates._fields:
        text = query.get(name)
        if text is not None:
            known = known._replace(**{name: _rate(name, text)})
    return known


def _rate(name: str, text: str) -> int:
    try:
        if len(text) > LONGEST or not text.isascii() or not set(text) <= set("0123456789."):
            raise MoneyError("must be a decimal number of cents")
        return rate_from_decimal(Decimal(text))
    except InvalidOperation:
        raise invalid(f"{name} must be a decimal number of cents") from None
    except MoneyError as error:
        raise invalid(f"{name} {error}") from None


def figures(work: Workload, rates: ModelRates) -> dict[str, str]:
    """Return every figure as text: for an amount also its exact cents, under the name with ``_cents``."""
    wins = work.calls * work.success // 100
    amounts = {
        "flat": work.calls * rates.flat,
        "base": work.calls * rates.base,
        "token": work.calls * work.tokens * rates.token,
        "bonus": wins * rates.bonus,
    }
    amounts["hybrid"] = amounts["base"] + amounts["token"] + amounts["bonus"]
    more = amounts["hybrid"] - amounts["flat"]
    amounts["difference"] = abs(more)
    shown = {name: dollars(amount) for name, amount in amounts.items()}
    shown |= {f"{name}_cents": format_cents(amount) for name, amount in amounts.items()}
    return shown | {
        "calls": f"{work.calls:,}",
        "tokens": f"{work.tokens:,}",
        "success": f"{work.success} %",
        "wins": f"{wins:,}",
        "direction": "more" if more >= 0 else "less",
        "percent": _percent(more, amounts["flat"]),
        "break_even": _break_even(rates.flat, rates.bonus),
        **_lines(work, rates, amounts),
    }


def dollars(pico: int) -> str:
    """Return dollars rounded half up once, without cents if there are none: ``$13,000``, ``$0.25``."""
    whole, _, part = dollars_rounded(pico).partition(".")
    return f"${int(whole):,}" + ("" if part == "00" else f".{part}")


def _percent(more: int, flat: int) -> str:
    """Return ``+1,200 %``, rounded half up; empty if there is nothing to compare with."""
    if flat == 0:
        return ""
    size = (200 * abs(more) + flat) // (2 * flat)
    return f"{'+' if more >= 0 else MINUS}{size:,} %"


def _break_even(flat: int, bonus: int) -> str:
    """Return the success rate from which a price per outcome earns what the flat price does."""
    if flat > bonus:
        return "At no success rate does a price per outcome earn what a price per call does."
    tenths = -(-1000 * flat // bonus) if bonus else 0
    rate = f"{tenths // 10}" + (f".{tenths % 10}" if tenths % 10 else "")
    return f"From a success rate of {rate} %, a price per outcome earns at least as much as a price per call."


def _lines(work: Workload, rates: ModelRates, amounts: Mapping[str, int]) -> dict[str, str]:
    """Return the revenue of each model over the success rate, 0 to 100 %, as lines of the chart, and its scale."""
    all_won = work.calls * rates.bonus
    fixed = amounts["base"] + amounts["token"]
    ends = {
        "flat": (amounts["flat"], amounts["flat"]),
        "token": (amounts["token"], amounts["token"]),
        "bonus": (0, all_won),
        "hybrid": (fixed, fixed + all_won),
    }
    top = _top(max(right for _, right in ends.values()))

    def height(amount: int) -> int:
        return HEIGHT - amount * HEIGHT // top

    x = work.success * WIDTH // 100
    return {
        **{f"line_{name}": f"M0 {height(left)}L{WIDTH} {height(right)}" for name, (left, right) in ends.items()},
        "line_now": f"M{x} 0V{HEIGHT}",
        "scale_top": dollars(top),
        "scale_middle": dollars(top // 2),
    }


def _top(most: int) -> int:
    """Return the end of the scale: 1, 2 or 5 times a power of ten, at least one dollar."""
    step = 100 * PICO
    while True:
        for times in (1, 2, 5):
            if step * times >= most:
                return step * times
        step *= 10
