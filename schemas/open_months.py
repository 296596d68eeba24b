"""Months of a price row that are settled at their close: their state in the customer's shard, and the result. Pure.

A row with a cap, a minimum or volume steps has one such state for each customer, mode and billing period (by accepted
time) in which it charged an event. A billing period is a calendar month (UTC), or one that begins at the customer's
anchor (schemas.billing_anchors). Money is decimal text in cents.
"""

from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from schemas.commands import CloseMonth, PriceRef
from schemas.months import month_range
from schemas.objects import Number
from schemas.price_match import PriceSlot
from schemas.state import SEPARATOR, namespace, price_key
from schemas.tiers import Tiers

MONTH_PREFIX = b"month/"


class MonthCharges(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What one price record has charged in a month, less what was voided."""

    price: PriceRef
    events: int
    cost: str
    used: dict[str, str] = {}
    """Micro-units by quantity of volume steps, as decimal text; ``event`` counts events."""
    volume: tuple[Tiers, ...] = ()
    minimum: str | None = None


class MinimumSpan(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The minimum of a price row, and the price that has it, from an accepted time on; both None: it has none."""

    start: int
    price: PriceRef | None = None
    minimum: str | None = None


class OpenMonth(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A month of a price row that is not settled; ``charges``: one for each price record, the last used one last."""

    customer_id: str
    month: str
    action: str
    own: bool = False
    model: str | None = None
    provider: str | None = None
    test: bool = False
    charges: tuple[MonthCharges, ...] = ()
    end: int | None = None
    """When it is over, ms UTC; None: a calendar month."""
    spans: tuple[MinimumSpan, ...] = ()
    """Of a customer's own row with a minimum: what it is from the month's beginning on, by time."""


class AdjustmentObject(msgspec.Struct, frozen=True, kw_only=True):
    """The settlement of a month of a price row: what volume steps and the minimum change of what its events cost."""

    event_id: int
    customer_id: str
    month: str
    action: str
    model: str | None
    provider: str | None
    price_id: int
    volume_cents: Number
    """Negative if the month reached a cheaper step."""
    minimum_cents: Number
    """What the month fell short of its minimum."""
    total_cents: Number
    created_at: str
    test: bool
    period_start: str | UnsetType = UNSET
    """Absent for a calendar month, as period_end."""
    period_end: str | UnsetType = UNSET
    credit_cents: Number | UnsetType = UNSET
    """What prepaid credit paid; absent for a customer without any grant until then, as due_cents."""
    due_cents: Number | UnsetType = UNSET


def slot_of(command: CloseMonth | OpenMonth) -> PriceSlot:
    """Return the price row that a month is of."""
    return PriceSlot(command.customer_id if command.own else None, command.action, command.model, command.provider)


def end_of(month: OpenMonth) -> int:
    """Return when a month is over, ms UTC."""
    return month_range(month.month).end if month.end is None else month.end


def day_start(name: str) -> int:
    """Return the first ms of the period that a date such as ``2026-11-15`` is the name of."""
    return int(datetime.fromisoformat(f"{name}T00:00:00+00:00").timestamp()) * 1000


def month_key(customer_id: str, test: bool, month: str, slot: PriceSlot) -> bytes:
    """Return the key of an open month."""
    return MONTH_PREFIX + namespace(customer_id, test) + month.encode() + SEPARATOR + price_key(slot)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(OpenMonth).decode
