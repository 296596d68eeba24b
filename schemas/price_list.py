"""What a price list changes, row by row: the preview of the gateway and the answer of the configuration shard. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from schemas.commands import ListedPrice, Rates
from schemas.config import Price
from schemas.objects import Number, RateObject, StepObject, iso, month_terms_shown, number, rates_shown, tiers_shown
from schemas.price_schedule import in_force

MAX_ROWS = 1000
"""Maximum rows of one price list."""

Change = Literal["added", "changed", "unchanged"]


class RowChange(NamedTuple):
    """What a row changes. ``old``: the price that it replaces, or that says the same already."""

    change: Change
    old: Price | None


class PriceTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a price row says, without what is known only of a recorded one."""

    customer_id: str | None
    action_type: str
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    rates: dict[str, RateObject] | UnsetType = UNSET
    ignore_unknown: bool | UnsetType = UNSET
    tiers: dict[str, list[StepObject]] | UnsetType = UNSET
    tier_mode: Literal["volume"] | UnsetType = UNSET
    minimum_cents: Number | UnsetType = UNSET
    cap_cents: Number | UnsetType = UNSET
    effective_at: str | UnsetType = UNSET


class ListedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the list. ``id`` is that of its price: none in a preview of a change. ``old`` is what it replaces."""

    row: int
    change: Change
    id: int | UnsetType = UNSET
    new: PriceTerms
    old: PriceTerms | UnsetType = UNSET


class PriceListResponse(msgspec.Struct, frozen=True):
    """What a price list changes, or with ``preview`` would change: the number of rows of each kind, and every row."""

    preview: bool
    added: int
    changed: int
    unchanged: int
    rows: list[ListedChange]


encode = msgspec.json.Encoder().encode


def same_scope(row: int, first: int) -> str:
    """Return the error message for a row that is for the same as an earlier one."""
    return f"rows[{row}] must differ from rows[{first}] in customer, action, model, provider or effective_at"


def change_of(row: ListedPrice, versions: Sequence[Price], at: int) -> RowChange:
    """Return what a row changes. ``versions``: the active prices of its slot by start; ``at``: the accepted time."""
    if row.effective_at is None:
        old = in_force(versions, at)
    else:
        old = next((price for price in versions if price.effective_at == row.effective_at), None)
    if old is None:
        return RowChange("added", None)
    return RowChange("unchanged" if old.rates == row.rates else "changed", old)


def listed(row: int, terms: ListedPrice, change: RowChange, id: int | None) -> ListedChange:
    """Return a row as the answer shows it. ``id``: of the price that it set, if it set one."""
    old = change.old
    if change.change == "unchanged" and old is not None:
        id = old.id
    return ListedChange(
        row=row,
        change=change.change,
        id=UNSET if id is None else id,
        new=_terms(terms, terms.rates),
        old=UNSET if old is None or change.change != "changed" else _terms(old, old.rates),
    )


def response(rows: list[ListedChange], preview: bool) -> PriceListResponse:
    """Return the answer to a price list."""
    kinds = [row.change for row in rows]
    return PriceListResponse(preview, kinds.count("added"), kinds.count("changed"), kinds.count("unchanged"), rows)


def _terms(of: ListedPrice | Price, rates: Rates) -> PriceTerms:
    return PriceTerms(
        customer_id=of.customer_id,
        action_type=of.action_type,
        model=of.model or UNSET,
        provider=of.provider or UNSET,
        base_rate_cents=number(rates.base),
        token_rate_cents=number(rates.token),
        outcome_bonus_cents=number(rates.bonus),
        rates=rates_shown(rates) or UNSET,
        ignore_unknown=rates.ignore_unknown or UNSET,
        tiers=tiers_shown(rates) or UNSET,
        **month_terms_shown(rates),
        effective_at=UNSET if of.effective_at is None else iso(of.effective_at),
    )
