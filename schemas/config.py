"""The configuration view: the values of rev.config, keyed ``kind/id``; a tombstone deletes.

Written by the configuration shard, read by every gateway. Keys: ``epoch``, ``key/<id>``,
``customer/<customer_id>``, ``price/<id>``, ``webhook/<id>``.
"""

import msgspec

from schemas.commands import Rates

EPOCH = b"epoch"


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    id: int
    customer_id: str
    hash: str
    """SHA-256 of the whole key, lower-case hex."""
    mask: str
    created_at: int
    customer_name: str | None = None
    test: bool = False
    is_active: bool = True


class Customer(msgspec.Struct, frozen=True, omit_defaults=True):
    customer_id: str
    created_at: int
    name: str | None = None
    external_ids: dict[str, str] = {}
    test: bool = False
    metered: bool = False
    """First named by a platform's key, and by nobody who administers since."""


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price, active or past. ``number`` is its place in the order of price changes."""

    id: int
    number: int
    action_type: str
    rates: Rates
    created_at: int
    customer_id: str | None = None
    is_active: bool = True
    ended_at: int | None = None


class Webhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint. Secrets are encrypted (schemas.secrets); ``previous`` signs beside
    ``secret`` for 24 h after ``rotated_at``. Deleted ones are tombstones."""

    id: int
    customer_id: str
    url: str
    events: list[str]
    secret: str
    created_at: int
    active: bool = True
    previous: str | None = None
    rotated_at: int | None = None
    disabled: str | None = None
    """Why the notifier gave it up, while inactive for that."""
    test: bool = False
    """Whose events it gets: of test mode or of live. One from before modes were separate is live."""


def key_key(id: int) -> bytes:
    return b"key/%d" % id


def customer_key(customer_id: str) -> bytes:
    return b"customer/" + customer_id.encode()


def price_key(id: int) -> bytes:
    return b"price/%d" % id


def webhook_key(id: int) -> bytes:
    return b"webhook/%d" % id


encode = msgspec.json.Encoder().encode
