"""A shard's state in rev.state: its keys and values. The pricer writes it, the expirer reads it.

Keys are ``kind/...``; parts that a customer chose are separated by the unit separator, which
no name may contain. Money is decimal text in cents, times are milliseconds UTC.
"""

import msgspec

from schemas.commands import OnExpiry, Rates
from schemas.entries import PriceRef

SEPARATOR = b"\x1f"
PRICE_NUMBER = b"price-number"
"""Of the last InstallPrice that the shard took, as decimal text."""
OUTCOME_PREFIX = b"outcome/"


class InstalledPrice(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price in force for one action (or ``*``) of one customer or of everyone."""

    id: int
    action_type: str
    rates: Rates
    offset: int
    """Raw offset, in this shard's partition, of the InstallPrice command."""
    is_default: bool = False


class OpenOutcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An outcome that a pending meter event opened and nothing has closed yet.

    It holds all that its later charge needs: what either verdict costs, by whose price an
    expiry charges, and the event and price record that the charge refers back to.
    """

    event_id: int
    customer_id: str
    agent_id: str
    action: str
    price_on_success: str
    expires_at: int
    created_at: int
    """Accepted time of the event."""
    price: PriceRef
    price_on_failure: str = "0"
    on_expiry: OnExpiry = "failure"
    api_key_id: int = 0
    test: bool = False
    task_id: str | None = None
    model: str | None = None
    provider: str | None = None
    trace_id: str | None = None


class Counters(msgspec.Struct, frozen=True):
    """The last id given to a key and to a price, and the last number of a price change."""

    key: int = 0
    price: int = 0
    number: int = 0


def price_key(customer_id: str | None, action_type: str) -> bytes:
    """Where a shard keeps the price in force; customer None is everyone."""
    return b"price/" + (customer_id or "").encode() + SEPARATOR + action_type.encode()


def outcome_key(outcome_id: str) -> bytes:
    return OUTCOME_PREFIX + outcome_id.encode()


encode = msgspec.json.Encoder().encode
decode_price = msgspec.json.Decoder(InstalledPrice).decode
decode_outcome = msgspec.json.Decoder(OpenOutcome).decode
