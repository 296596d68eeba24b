"""The response bodies of the write path: what renders them and what /openapi.json describes.
A charged event is in schemas.meter_responses, keys, prices and customers are in schemas.objects.

Money is ``Raw``: decimal text printed as an exact JSON number, never through a float.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.meter_responses import EventResponse
from schemas.objects import CustomerObject, Json, KeyObject, Number, PriceObject


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


class BatchResponse(msgspec.Struct, frozen=True, gc=False):
    """201: the events are in the ledger at these prices, in the order of the request. ``total_cents``: what
    this request charged; a replayed event adds nothing."""

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
    """201: the key in full, this once."""

    api_key: str


class KeyShown(KeyObject, frozen=True):
    """``last_used_at``: when it last metered something that the ledger has."""

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
    """The rates that an action is priced with now; ``is_custom``: a row of this customer's."""

    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_custom: bool


class EffectivePrices(msgspec.Struct, frozen=True):
    customer_id: str
    configs: list[EffectivePrice]


class ReadinessResponse(msgspec.Struct, frozen=True):
    """``reasons``: what is not ready and why. ``degraded``: what is missing although it is ready."""

    ready: bool
    reasons: list[str]
    degraded: list[str]


encode = msgspec.json.Encoder().encode
