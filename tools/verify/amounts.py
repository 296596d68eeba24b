"""What an event costs by a price, in exact Decimals; written apart from the pricer, on purpose. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tools.verify.price_model import PriceModel, price_of
from tools.verify.row_values import EXACT, ZERO, Row, add, quantities_of
from tools.verify.tier_model import Parts, Tiered, parts_of

TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
"""Quantities that are tokens."""
MAX_CENTS = 10**12
FINEST = Decimal("1e-12")
NO_PARTS: Parts = {}


def amounts(price_model: PriceModel, event: Mapping[str, Any], parts: Parts = NO_PARTS) -> Row | None:
    """Return the columns of an event's cost; None if the price cannot charge it. ``parts``: the quantities that are
    charged in steps, as they are cut."""
    named = {name: (rate, per) for name, rate, per in price_model.rates}
    given = [(kind, Decimal(event[f"tokens_{kind}"])) for kind in ("input", "output") if f"tokens_{kind}" in event]
    given += [(name, Decimal(text)) for name, text in event.get("quantities", {}).items()]
    left = Decimal(event.get("tokens", 0))
    lines = []
    for name, quantity in given:
        if name not in named and name not in parts:
            if name not in TOKENS and not price_model.ignore_unknown:
                return None
            continue
        own = parts[name] if name in parts else [(quantity, *named[name])]
        if sum((part for part, _, _ in own), ZERO) != quantity:
            return None
        for part, rate, per in own:
            cents = EXACT.divide(EXACT.multiply(part, rate), Decimal(per))
            if cents != cents.quantize(FINEST, context=_ROUGH):
                return None
            lines.append((name, part, rate, per, cents))
        if name in TOKENS:
            left = EXACT.subtract(left, quantity)
    rest = EXACT.multiply(left, price_model.token)
    if lines and left:
        lines.insert(0, ("tokens", left, price_model.token, 1, rest))
    token = quantity_cents = ZERO
    for name, _, _, _, cents in lines:
        if name in TOKENS or name == "tokens":
            token = add(token, cents)
        else:
            quantity_cents = add(quantity_cents, cents)
    if not lines:
        token = rest
    bonus = price_model.bonus if event.get("outcome") == "success" else ZERO
    total = add(add(price_model.base, token), add(bonus, quantity_cents))
    if total > MAX_CENTS:
        return None
    return {
        "base_cents": price_model.base,
        "token_cents": token,
        "bonus_cents": bonus,
        "quantity_cents": quantity_cents,
        "total_cents": total,
        "lines": tuple(lines),
        "quantities": quantities_of(event),
    }


def are_exact(volume: Tiered, event: Mapping[str, Any]) -> bool:
    """True if an event's quantities are exact at every volume step, so that the month's close is."""
    own = {kind: Decimal(event[f"tokens_{kind}"]) for kind in ("input", "output") if f"tokens_{kind}" in event}
    own |= {name: Decimal(text) for name, text in event.get("quantities", {}).items()}
    for name, steps in volume:
        for _, rate, per in steps:
            cents = EXACT.divide(EXACT.multiply(own.get(name, ZERO), rate), Decimal(per))
            if cents != cents.quantize(FINEST, context=_ROUGH):
                return False
    return True


def capped(cost: Row, over: Decimal, event: Mapping[str, Any], price_model: PriceModel) -> Row:
    """Return a cost less what is beyond a cap, which is a line of its own."""
    lines = cost["lines"]
    if not lines and cost["token_cents"]:
        lines = (("tokens", Decimal(event.get("tokens", 0)), price_model.token, 1, cost["token_cents"]),)
    return {
        **cost,
        "quantity_cents": EXACT.subtract(cost["quantity_cents"], over),
        "total_cents": EXACT.subtract(cost["total_cents"], over),
        "lines": (*lines, ("cap", Decimal(1), ZERO, 1, EXACT.minus(over))),
    }


def amounts_of_row(row: Row) -> Row | None:
    """Return what a row of an event must cost by its own quantities, rates and steps; None if it cannot cost that."""
    quantities = {name: f"{quantity:f}" for name, quantity in row["quantities"]}
    halves = {name: row[name] for name in ("tokens_input", "tokens_output") if row[name] is not None}
    event = {**halves, "tokens": row["tokens"], "quantities": quantities, "outcome": row["outcome"]}
    price_model = price_of(row)
    cost = amounts(price_model, event, parts_of(row))
    *_, last = row["lines"] or [("", ZERO, ZERO, 1, ZERO)]
    if cost is None or last[0] != "cap" or last[-1] >= 0:
        return cost
    made = capped(cost, EXACT.minus(last[-1]), event, price_model)
    return made if made["total_cents"] >= 0 else None


_ROUGH = EXACT.copy()
_ROUGH.clear_traps()
