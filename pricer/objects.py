"""Keys, prices and customers as the admin API shows them (docs/api.md), as JSON text.

The same text answers the request and is the ``detail`` of the ledger's config entry, from
which the audit and webhooks are made. Money is an exact JSON number; a time is ISO 8601 UTC
with milliseconds. No secret may come in: of a key only its mask.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from schemas.config import ApiKey, Customer, Price

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class KeyObject(msgspec.Struct, frozen=True):
    """The gateway adds ``api_key``, once, in the answer to the creation."""

    id: int
    customer_id: str
    customer_name: str | None
    api_key_masked: str
    is_active: bool
    test: bool
    created_at: str


class PriceObject(msgspec.Struct, frozen=True):
    id: int
    customer_id: str | None
    action_type: str
    base_rate_cents: msgspec.Raw
    token_rate_cents: msgspec.Raw
    outcome_bonus_cents: msgspec.Raw
    is_active: bool
    created_at: str
    ended_at: str | None


class CustomerObject(msgspec.Struct, frozen=True):
    customer_id: str
    name: str | None
    external_ids: dict[str, str]
    test: bool
    created_at: str


def iso(at: int) -> str:
    """``2026-04-26T12:00:00.000Z`` of milliseconds UTC."""
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % 1000:03d}Z"


def number(cents: str) -> msgspec.Raw:
    """Canonical decimal text as a JSON number, digit by digit."""
    return msgspec.Raw(cents.encode())


def key_object(key: ApiKey) -> msgspec.Raw:
    shown = KeyObject(
        key.id, key.customer_id, key.customer_name, key.mask, key.is_active, key.test, iso(key.created_at)
    )
    return msgspec.Raw(_encode(shown))


def price_object(price: Price) -> msgspec.Raw:
    rates = price.rates
    shown = PriceObject(
        price.id,
        price.customer_id,
        price.action_type,
        number(rates.base),
        number(rates.token),
        number(rates.bonus),
        price.is_active,
        iso(price.created_at),
        None if price.ended_at is None else iso(price.ended_at),
    )
    return msgspec.Raw(_encode(shown))


def customer_object(customer: Customer) -> msgspec.Raw:
    shown = CustomerObject(
        customer.customer_id, customer.name, customer.external_ids, customer.test, iso(customer.created_at)
    )
    return msgspec.Raw(_encode(shown))


def deleted(id: int) -> msgspec.Raw:
    """Answer to a deletion, the first and every later one."""
    return msgspec.Raw(_encode({"success": True, "deleted_id": id}))


SUCCESS = msgspec.Raw(b'{"success":true}')
