"""The response bodies of the write path: what renders them and what /openapi.json describes.

Money is ``Raw``: decimal text printed as an exact JSON number, never through a float.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Number = Annotated[msgspec.Raw, Meta(description="Exact.", extra_json_schema={"type": "number"})]
Json = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
NULL = msgspec.Raw(b"null")


class Breakdown(msgspec.Struct, frozen=True, gc=False):
    base_rate_cents: Number
    token_charge_cents: Number
    outcome_bonus_cents: Number


class AppliedPrice(msgspec.Struct, frozen=True, gc=False):
    """The price row that matched."""

    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_default: bool


class PriceAnswer(msgspec.Struct, frozen=True, gc=False):
    total_cents: Number
    breakdown: Breakdown
    config: AppliedPrice


class DollarBreakdown(msgspec.Struct, frozen=True, gc=False):
    base: Number
    tokens: Number
    outcome: Number


class EventAnswer(msgspec.Struct, frozen=True, gc=False):
    customer_id: str
    agent_id: str
    action: str
    tokens: int
    tokens_input: int | None
    tokens_output: int | None
    outcome: str | None


class MeterAnswer(msgspec.Struct, frozen=True, gc=False):
    """201: the event is in the ledger at this price."""

    event_id: int
    price: PriceAnswer
    price_charged: Number
    price_breakdown: DollarBreakdown
    currency: str
    outcome_id: str | None
    event: EventAnswer
    created_at: str


class AcceptedAnswer(msgspec.Struct, frozen=True, gc=False):
    """202: the event is durable and will be priced."""

    event_id: int
    price: None
    price_charged: None
    price_breakdown: None
    currency: str
    outcome_id: str | None
    event: EventAnswer
    created_at: str
    status: Literal["accepted"]


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    event_id: int
    total_cents: Number
    outcome_id: str | None = None
    replayed: bool = False


class BatchAnswer(msgspec.Struct, frozen=True, gc=False):
    """201: the events are in the ledger at these prices, in the order of the request."""

    results: list[BatchResult]
    total_cents: Number
    currency: str


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


class KeyCreated(msgspec.Struct, frozen=True):
    """201: the key in full, this once."""

    id: int
    customer_id: str
    customer_name: str | None
    api_key: str
    api_key_masked: str
    is_active: bool
    test: bool
    created_at: str


class KeyShown(msgspec.Struct, frozen=True):
    id: int
    customer_id: str
    customer_name: str | None
    api_key_masked: str
    is_active: bool
    test: bool
    created_at: str
    last_used_at: str | None


class KeyList(msgspec.Struct, frozen=True):
    keys: list[KeyShown]
    next_cursor: str | None


class PriceShown(msgspec.Struct, frozen=True):
    id: int
    customer_id: str | None
    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_active: bool
    created_at: str
    ended_at: str | None


class PriceList(msgspec.Struct, frozen=True):
    configs: list[PriceShown]
    next_cursor: str | None


class CustomerShown(msgspec.Struct, frozen=True):
    customer_id: str
    name: str | None
    external_ids: dict[str, str]
    test: bool
    created_at: str


class CustomerList(msgspec.Struct, frozen=True):
    customers: list[CustomerShown]
    next_cursor: str | None


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
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


class Readiness(msgspec.Struct, frozen=True):
    """``reasons``: what is not ready and why. ``degraded``: what is missing although it is ready."""

    ready: bool
    reasons: list[str]
    degraded: list[str]


encode = msgspec.json.Encoder().encode
