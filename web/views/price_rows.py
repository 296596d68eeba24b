"""Price rows as pages show them, from the API's JSON. Pure; money in pico-cents, times in ms.

A page shows rates in dollars: per event, on success, per million tokens, and for as many units as a rate was set for.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.price_match import ANY, PriceSlot
from web.exact_json import ms_of, ms_or_none, pico_of
from web.formats import dollars_in_full, grouped

MILLION = 10**6
KNOWN = {
    *("id", "customer_id", "action_type", "model", "provider", "base_rate_cents", "token_rate_cents"),
    *("outcome_bonus_cents", "rates", "tiers", "ignore_unknown", "is_active", "created_at", "ended_at"),
    *("effective_at", "scheduled", "tier_mode", "minimum_cents", "cap_cents"),
}
"""The members of a row that these pages show and write."""
UNITS = {1: "unit", 10**3: "thousand", MILLION: "million", 10**9: "billion"}


class UnitPrice(NamedTuple):
    """A rate of a quantity: ``pico`` pico-cents for every ``per`` units."""

    name: str
    pico: int
    per: int

    @property
    def words(self) -> str:
        """``$2.50 per million``."""
        return f"{dollars_in_full(self.pico)} per {UNITS.get(self.per, grouped(self.per))}"


class PriceStep(NamedTuple):
    """A step: ``pico`` pico-cents for every ``per`` units, until the month's count reaches ``up_to``; None: no end."""

    up_to: str | None
    pico: int
    per: int

    @property
    def words(self) -> str:
        """``up to 1,000: $0.00 per unit``, as the form takes it."""
        where = "then" if self.up_to is None else f"up to {_grouped(self.up_to)}"
        return f"{where}: {UnitPrice('', self.pico, self.per).words}"


class SteppedPrice(NamedTuple):
    """A quantity, or ``event``, that is charged in steps of the customer's month."""

    name: str
    steps: tuple[PriceStep, ...]

    @property
    def words(self) -> str:
        """All steps in one line."""
        return "; ".join(step.words for step in self.steps)


class PriceRow(NamedTuple):
    """A row of prices. Money in pico-cents: ``base`` per event, ``token`` per token, ``bonus`` on success.

    ``effective_at``: ms from which it is in force, if it was scheduled; ``scheduled``: it is not yet. ``beyond``: what
    the row has that these pages do not know, so that no form may write it again without.
    """

    id: int
    slot: PriceSlot
    base: int
    token: int
    bonus: int
    rates: tuple[UnitPrice, ...]
    ignore_unknown: bool
    is_active: bool
    created_at: int
    ended_at: int | None
    tiers: tuple[SteppedPrice, ...] = ()
    effective_at: int | None = None
    scheduled: bool = False
    beyond: tuple[str, ...] = ()
    minimum: int | None = None
    """The least that a customer's month costs, in pico-cents."""
    cap: int | None = None
    """The most that it costs."""
    is_volume: bool = False
    """A month has the rate of the step that it reaches, instead of each step its own."""

    @property
    def is_monthly(self) -> bool:
        """True if it charges by the customer's month."""
        return bool(self.tiers) or self.minimum is not None or self.cap is not None

    @property
    def is_settled(self) -> bool:
        """True if the cost of a whole month decides, so that no replay has it."""
        return self.is_volume or self.minimum is not None or self.cap is not None

    @property
    def bounds(self) -> str:
        """The least and the most of a month in words, if there are any."""
        parts = [
            f"at least {dollars_in_full(self.minimum)} a month" if self.minimum is not None else "",
            f"at most {dollars_in_full(self.cap)} a month" if self.cap is not None else "",
        ]
        return ", ".join(filter(None, parts))

    @property
    def action(self) -> str:
        """The action, or that it is for any."""
        return "any action" if self.slot.action == ANY else self.slot.action

    @property
    def token_million(self) -> int:
        """Pico-cents for a million tokens."""
        return self.token * MILLION

    @property
    def words(self) -> str:
        """All rates in one line; what is nothing is left out."""
        parts = [
            f"{dollars_in_full(self.base)} per event" if self.base else "",
            f"{dollars_in_full(self.token_million)} per million tokens" if self.token else "",
            f"{dollars_in_full(self.bonus)} on success" if self.bonus else "",
            *(f"{one.name} {one.words}" for one in self.rates),
            *(f"{one.name} {one.words}{' of the whole month' if self.is_volume else ''}" for one in self.tiers),
            self.bounds,
        ]
        return ", ".join(filter(None, parts)) or "free"


def price_row(shown: Mapping[str, Any]) -> PriceRow:
    """Return a row of GET /api/admin/pricing."""
    rates = shown.get("rates") or {}
    return PriceRow(
        id=shown["id"],
        slot=PriceSlot(shown["customer_id"], shown["action_type"], shown.get("model"), shown.get("provider")),
        base=pico_of(shown["base_rate_cents"]),
        token=pico_of(shown["token_rate_cents"]),
        bonus=pico_of(shown["outcome_bonus_cents"]),
        rates=tuple(UnitPrice(name, pico_of(one["rate"]), one["per"]) for name, one in rates.items()),
        ignore_unknown=bool(shown.get("ignore_unknown")),
        is_active=shown["is_active"],
        created_at=ms_of(shown["created_at"]),
        ended_at=ms_or_none(shown["ended_at"]),
        tiers=tuple(_stepped(name, steps) for name, steps in (shown.get("tiers") or {}).items()),
        effective_at=ms_or_none(shown.get("effective_at")),
        scheduled=bool(shown.get("scheduled")),
        beyond=tuple(sorted(name for name in shown if name not in KNOWN)),
        minimum=pico_of(shown["minimum_cents"]) if "minimum_cents" in shown else None,
        cap=pico_of(shown["cap_cents"]) if "cap_cents" in shown else None,
        is_volume=shown.get("tier_mode") == "volume",
    )


def _stepped(name: str, steps: Sequence[Mapping[str, Any]]) -> SteppedPrice:
    made = (PriceStep(_text(step.get("up_to")), pico_of(step["rate"]), step.get("per", 1)) for step in steps)
    return SteppedPrice(name, tuple(made))


def _text(count: int | Decimal | str | None) -> str | None:
    return None if count is None else format(Decimal(count), "f")


def _grouped(count: str) -> str:
    whole, point, part = count.partition(".")
    return grouped(int(whole)) + point + part
