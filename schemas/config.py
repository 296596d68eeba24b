"""The configuration view: the values of rev.config, keyed ``kind/id``; a tombstone deletes.

The configuration shard writes them, every gateway reads them. Keys: ``epoch``, ``key/<id>``,
``customer/<customer_id>``, ``price/<id>``, ``webhook/<id>``.
"""

import msgspec

from schemas.commands import OnEmpty, Rates
from schemas.price_match import PriceSlot

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
    """True if a platform's key named the customer first and no admin has changed it since."""
    on_empty: OnEmpty = "charge"


class Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """A price: in force, scheduled or past. ``number`` is its place in the order of price changes.

    ``is_active`` says that no command ended it. One that a scheduled price has followed stays active until the next
    change of its slot (pricer.price_schedule).
    """

    id: int
    number: int
    action_type: str
    rates: Rates
    created_at: int
    customer_id: str | None = None
    is_active: bool = True
    ended_at: int | None = None
    model: str | None = None
    provider: str | None = None
    effective_at: int | None = None
    """For a price that was scheduled: the accepted time from which it is in force."""

    @property
    def slot(self) -> PriceSlot:
        """What the price is for."""
        return PriceSlot(self.customer_id, self.action_type, self.model, self.provider)

    @property
    def start(self) -> int:
        """The accepted time from which the price is in force."""
        return self.created_at if self.effective_at is None else self.effective_at


class Webhook(msgspec.Struct, frozen=True, omit_defaults=True):
    """An endpoint. Deleted endpoints are tombstones.

    Secrets are encrypted (schemas.secrets); ``previous`` also signs for 24 h after ``rotated_at``.
    """

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
    """The reason why the notifier gave the endpoint up; None otherwise."""
    test: bool = False
    """True if the endpoint gets test events, False if live ones. One from before modes were separate is live."""


def key_key(id: int) -> bytes:
    return b"key/%d" % id


def customer_key(customer_id: str) -> bytes:
    return b"customer/" + customer_id.encode()


def price_key(id: int) -> bytes:
    return b"price/%d" % id


def webhook_key(id: int) -> bytes:
    return b"webhook/%d" % id


encode = msgspec.json.Encoder().encode
