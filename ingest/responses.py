"""The response bodies of the write path, which render responses and from which /openapi.json is made.

A charged event is in schemas.meter_responses; keys, prices and customers are in schemas.objects.
Money is ``Raw``: decimal text printed as an exact JSON number, never through a float.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.meter_responses import EventResponse
from schemas.objects import CustomerObject, Json, KeyObject, Number, PriceObject, RateObject, StepObject


class AcceptedResponse(msgspec.Struct, frozen=True, gc=False):
    """202: the event is durable and will be priced."""

    event_id: int
    price: None
    price_charged: None
    price_breakdown: None
    currency: str
    outcome_id: str | None
    event: EventResponse
    created_at: str
    status: Literal["accepted"]
    test: bool
    warnings: list[str] | UnsetType = UNSET


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    event_id: int
    total_cents: Number
    outcome_id: str | None = None
    replayed: bool = False
    status: Literal["voided"] | None = None
    budgets_exceeded: tuple[int, ...] = ()
    credit_cents: Number | UnsetType = UNSET
    due_cents: Number | UnsetType = UNSET


class BatchResponse(msgspec.Struct, frozen=True, gc=False):
    """201: the events are in the ledger at these prices, in the order of the request.

    ``total_cents`` is what this request charged; a replayed event adds nothing.
    """

    results: list[BatchResult]
    total_cents: Number
    currency: str
    test: bool
    warnings: list[str] | UnsetType = UNSET


class AcceptedResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    event_id: int
    total_cents: Json
    status: str
    outcome_id: str | None = None


class AcceptedBatch(msgspec.Struct, frozen=True, gc=False):
    """202: the events are durable and will be priced."""

    results: list[AcceptedResult]
    total_cents: None
    currency: str
    status: Literal["accepted"]
    test: bool
    warnings: list[str] | UnsetType = UNSET


class KeyCreated(KeyObject, frozen=True):
    """201: the new key in full. It is shown only here."""

    api_key: str


class KeyShown(KeyObject, frozen=True):
    """A key, masked. ``last_used_at``: the last time that the key metered something that is in the ledger."""

    last_used_at: str | None


class KeyList(msgspec.Struct, frozen=True):
    keys: list[KeyShown]
    next_cursor: str | None


class PriceList(msgspec.Struct, frozen=True):
    configs: list[PriceObject]
    next_cursor: str | None


class CustomerList(msgspec.Struct, frozen=True):
    customers: list[CustomerObject]
    next_cursor: str | None


class DoneResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    success: bool
    deleted_id: int | None = None


class EffectivePrice(msgspec.Struct, frozen=True):
    """The rates of an action now, for one model or provider or any. ``is_custom``: they are this customer's own."""

    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_custom: bool
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    rates: dict[str, RateObject] | UnsetType = UNSET
    ignore_unknown: bool | UnsetType = UNSET
    tiers: dict[str, list[StepObject]] | UnsetType = UNSET
    tier_mode: Literal["volume"] | UnsetType = UNSET
    minimum_cents: Number | UnsetType = UNSET
    cap_cents: Number | UnsetType = UNSET
    effective_at: str | UnsetType = UNSET
    """Of a scheduled price: when it comes into force."""


class EffectivePrices(msgspec.Struct, frozen=True):
    """``scheduled``: prices that will apply to the customer."""

    customer_id: str
    configs: list[EffectivePrice]
    scheduled: list[EffectivePrice] | UnsetType = UNSET


class ReadinessResponse(msgspec.Struct, frozen=True):
    """The readiness. ``reasons``: why the gateway is not ready. ``degraded``: what is missing although it is ready."""

    ready: bool
    reasons: list[str]
    degraded: list[str]


encode = msgspec.json.Encoder().encode
