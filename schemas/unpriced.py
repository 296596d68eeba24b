"""Events that are recorded without a price until one charges them: their state in the customer's shard. Pure."""

import msgspec
from msgspec import UNSET, UnsetType

from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.objects import Number

UNPRICED_PREFIX = b"unpriced/"
NOT_VOIDABLE = "not_voidable"
"""Code of the refusal to void an event that an adjustment has charged since."""
MAX_CHARGED = 500
"""Maximum events of one notice."""
NO_PRICE = PriceRef(id=0, action_type="", rates=Rates("0", "0", "0", ignore_unknown=True), offset=0)
"""What stands in an entry for the price record of an event without a price. No price has the id 0."""


class UnpricedEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An event that waits for a price. ``event``: without key and metadata, with its time filled in."""

    customer_id: str
    api_key_id: int
    event: MeterEvent
    test: bool = False


class UnpricedChargeObject(msgspec.Struct, frozen=True, kw_only=True):
    """The charge of an event that came in before its price."""

    event_id: int
    charged_event_id: int
    """The event that is charged."""
    customer_id: str
    agent_id: str
    action: str
    model: str | None
    provider: str | None
    price_id: int
    total_cents: Number
    created_at: str
    test: bool
    credit_cents: Number | UnsetType = UNSET
    """What prepaid credit paid; absent for a customer without any grant until then, as due_cents."""
    due_cents: Number | UnsetType = UNSET


def unpriced_key(event_id: int) -> bytes:
    """Return the key of an event that waits for a price."""
    return UNPRICED_PREFIX + b"%d" % event_id


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(UnpricedEvent).decode
