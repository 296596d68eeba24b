"""A customer's prepaid credit and budgets as pages show them. Pure; money in pico-cents, times in ms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from schemas.money import parse_cents
from warehouse.account_rows import GrantRow
from web import exact_json, formats
from web.exact_json import ms_of, ms_or_none, pico_of
from web.views.overview_view import Figure

SCOPES = {"all": "Everything", "agent": "Agent", "action": "Action", "model": "Model", "key": "API key"}
PERIODS = {"day": "a day", "month": "a month", "total": "in all"}
FULL = 100
"""Percent."""


class GrantLine(NamedTuple):
    """A grant: ``state`` is open, used up or expired; ``share``: percent that is used; ``paid``: it was bought."""

    id: int
    amount: int
    used: int
    left: int
    share: int
    reason: str
    actor: str
    priority: int
    created: int
    expires: int | None
    state: str
    paid: bool


class BudgetLine(NamedTuple):
    """A budget; ``share`` is what is spent of it, in percent, ``reached``: nothing is left."""

    id: int
    what: str
    value: str
    period: str
    limit: int
    spent: int
    left: int
    share: int
    hard: bool
    reached: bool
    ends: int | None
    held: int
    """By open reservations; it is in neither spent nor left."""


class SpendingView(NamedTuple):
    figures: list[Figure]
    grants: list[GrantLine]
    budgets: list[BudgetLine]
    had_credit: bool


def assemble(
    balance: Mapping[str, Any], budgets: Iterable[Mapping[str, Any]], rows: Sequence[GrantRow], now: int
) -> SpendingView:
    """Return the page of the shard's balance and budgets, and the ledger's grants."""
    grants = [_grant(row, now) for row in rows]
    lines = [_budget(one) for one in budgets if one["test"] == balance["test"]]
    available = pico_of(balance["balance_cents"])
    used = sum(one.used for one in grants)
    reached = sum(one.reached for one in lines)
    held = _held(balance)
    return SpendingView(
        figures=[
            Figure(
                "Balance",
                formats.dollars(available),
                formats.cents(available),
                note=f"{formats.dollars(held)} of it held by reservations" if held else "can be drawn now",
            ),
            Figure("Drawn", formats.dollars(used), formats.cents(used), note="from all grants"),
            Figure("Budgets", formats.grouped(len(lines)), note=f"{reached} reached" if reached else "none reached"),
        ],
        grants=grants,
        budgets=lines,
        had_credit=bool(grants),
    )


def _grant(row: GrantRow, now: int) -> GrantLine:
    shown = exact_json.parsed(row.detail)
    amount, used = pico_of(shown["amount_cents"]), parse_cents(row.used)
    expires = ms_or_none(shown["expires_at"])
    state = "used up" if used >= amount else "expired" if expires is not None and expires <= now else "open"
    return GrantLine(
        id=row.id,
        amount=amount,
        used=used,
        left=amount - used,
        share=_share(used, amount),
        reason=shown["reason"],
        actor=row.actor,
        priority=shown["priority"],
        created=ms_of(shown["created_at"]),
        expires=expires,
        state=state,
        paid=shown.get("category") == "paid",
    )


def _budget(shown: Mapping[str, Any]) -> BudgetLine:
    limit, spent = pico_of(shown["limit_cents"]), pico_of(shown["spent_cents"])
    return BudgetLine(
        id=shown["id"],
        what=SCOPES[shown["scope"]],
        value=shown["value"],
        period=PERIODS[shown["period"]],
        limit=limit,
        spent=spent,
        left=pico_of(shown["left_cents"]),
        share=_share(spent, limit),
        hard=shown["hard"],
        reached=spent >= limit,
        ends=ms_or_none(shown["period_end"]),
        held=_held(shown),
    )


def _held(shown: Mapping[str, Any]) -> int:
    return pico_of(shown["held_cents"]) if "held_cents" in shown else 0


def _share(part: int, whole: int) -> int:
    return FULL if part >= whole else max(part * FULL // whole, 0)
