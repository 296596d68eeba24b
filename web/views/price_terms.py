"""The price of an entry, term by term: what was counted, at which rate, for how much. Pure; money in pico-cents.

The terms are the stored parts of the entry, so their sum is its total; `Explanation.is_exact` says whether it is.
"""

from typing import NamedTuple

from schemas.money import format_cents, parse_cents
from schemas.quantities import EVENT, SUCCESS, TOKEN_KINDS, TOKENS, Line, all_quantities
from warehouse.activity_rows import FullEntryRow
from warehouse.row_events import canonical, event_of_row, lines_of_row
from web.formats import grouped

OUTCOME = "outcome"
"""The component of what an outcome costs when it ends."""
LABELS = {EVENT: "Base", TOKENS: "Tokens", SUCCESS: "Bonus for success", OUTCOME: "Outcome"}


class PriceTerm(NamedTuple):
    """``quantity`` units of ``component`` at ``rate``, in words, cost ``cents`` (pico-cents)."""

    component: str
    label: str
    quantity: str
    rate: str
    cents: int


class Explanation(NamedTuple):
    """The terms of a price. ``total``: as the entry has it. ``uncharged``: quantities without a rate, and their count.

    ``awaited``: the bonus that a pending outcome adds if it succeeds.
    """

    terms: list[PriceTerm]
    total: int
    awaited: int
    uncharged: list[tuple[str, str]]

    @property
    def is_exact(self) -> bool:
        """True if the terms add up to the total."""
        return sum(term.cents for term in self.terms) == self.total


def explain(row: FullEntryRow) -> Explanation:
    """Return the explanation of a priced event, of an outcome's charge, or of a void of either."""
    base, token, bonus = parse_cents(row.base), parse_cents(row.token), parse_cents(row.bonus)
    is_charge = row.kind == "charge" or row.config_type == "charge"
    terms = []
    if not is_charge or base:
        terms.append(_term(EVENT, "1", f"{canonical(row.price_base)} ¢ per event", base))
    lines = lines_of_row(row)
    if lines:
        terms += [_line(line) for line in lines]
    elif row.tokens or token:
        terms.append(_term(TOKENS, str(row.tokens), f"{canonical(row.price_token)} ¢ per token", token))
    if is_charge:
        terms.append(_term(OUTCOME, "1", f"{format_cents(abs(bonus))} ¢", bonus))
    elif bonus or row.outcome == "success":
        terms.append(_term(SUCCESS, "1", f"{canonical(row.price_bonus)} ¢ on success", bonus))
    return Explanation(
        terms=terms,
        total=parse_cents(row.total),
        awaited=parse_cents(row.price_bonus) if row.kind == "event" and row.outcome == "pending" else 0,
        uncharged=[] if is_charge else _uncharged(row, lines),
    )


def rate(text: str, per: int, unit: str = "") -> str:
    """Return a rate as it was set: ``250 ¢ per 1,000,000``."""
    return f"{text} ¢ per {grouped(per) if per > 1 or not unit else unit}"


def _line(line: Line) -> PriceTerm:
    unit = "token" if line.component in (TOKENS, *TOKEN_KINDS) else ""
    return _term(line.component, line.quantity, rate(line.rate, line.per, unit), parse_cents(line.cents))


def _term(component: str, quantity: str, rate: str, cents: int) -> PriceTerm:
    whole, dot, part = quantity.partition(".")
    return PriceTerm(component, LABELS.get(component, component), f"{grouped(int(whole))}{dot}{part}", rate, cents)


def _uncharged(row: FullEntryRow, lines: tuple[Line, ...]) -> list[tuple[str, str]]:
    """Return the quantities that the price has no rate for; tokens always have one."""
    charged = {line.component for line in lines}
    found = all_quantities(event_of_row(row)).items()
    return [(name, text) for name, text in found if name not in charged and name not in TOKEN_KINDS]
