"""Reservations: money held before an agent runs. Their state in the customer's shard, and as the API shows them. Pure.

Money in the state is decimal text in cents, times are milliseconds UTC.
"""

import re
from typing import Literal

import msgspec

from schemas.objects import Number, iso, number
from schemas.state import SEPARATOR, namespace

MAX_OPEN = 1000
"""Open reservations of one customer and mode."""
MAX_TTL = 86_400_000
"""ms for which a reservation may hold money."""
OPEN_PREFIX = b"reservation/"
Status = Literal["open", "settled", "released", "expired"]
_id = re.compile(r"rs_(0|[1-9][0-9]{0,15})").fullmatch


class Reservation(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An open reservation. ``id``: the event id of the command that made it."""

    id: int
    customer_id: str
    amount: str
    """Cents that its hard budgets hold."""
    created_at: int
    expires_at: int
    credit: str = "0"
    """Cents that prepaid credit holds."""
    agent_id: str | None = None
    action: str | None = None
    model: str | None = None
    api_key_id: int = 0
    test: bool = False


class ReservationObject(msgspec.Struct, frozen=True, kw_only=True):
    """Money that is held for what an agent will do, until an event settles it, it is released or it expires."""

    reservation_id: str
    customer_id: str
    status: Status
    amount_cents: Number
    credit_cents: Number
    """What prepaid credit holds of the amount; hard budgets hold all of it."""
    agent_id: str | None
    action: str | None
    model: str | None
    event_id: int | None
    """The event that settled it."""
    charged_cents: Number | None
    """What that event cost."""
    expires_at: str
    created_at: str
    closed_at: str | None
    test: bool


class Ended(msgspec.Struct, frozen=True):
    """The part of a closed reservation that later commands depend on."""

    status: Status


class ReservationList(msgspec.Struct, frozen=True):
    """The open reservations of a customer, by id."""

    customer_id: str
    reservations: list[ReservationObject]


def reservation_id(event_id: int) -> str:
    """Return the id of the reservation that the command with this event id made."""
    return f"rs_{event_id}"


def number_of(reservation_id: str) -> int | None:
    """Return the event id of what made a reservation, or None if the text is no reservation id."""
    match = _id(reservation_id)
    return None if match is None else int(match[1])


def open_prefix(customer_id: str, test: bool) -> bytes:
    """Return the prefix of the open reservations of one mode. That of live is also one of test."""
    return OPEN_PREFIX + namespace(customer_id, test)


def open_key(customer_id: str, test: bool, id: int) -> bytes:
    """Return the key of an open reservation."""
    return open_prefix(customer_id, test) + b"%d" % id


def closed_key(customer_id: str, test: bool, id: int) -> bytes:
    """Return the key of the object of a closed reservation."""
    return b"reservation-closed/" + namespace(customer_id, test) + b"%d" % id


def is_test(key: bytes, customer_id: str) -> bool:
    """True if the key of one of a customer's open reservations is of test mode."""
    return key.removeprefix(open_prefix(customer_id, False)).startswith(SEPARATOR)


def shown(
    one: Reservation,
    status: Status = "open",
    closed_at: int | None = None,
    event_id: int | None = None,
    charged: str | None = None,
) -> ReservationObject:
    """Return a reservation in a status; ``charged``: what the event cost that settled it, in cents."""
    return ReservationObject(
        reservation_id=reservation_id(one.id),
        customer_id=one.customer_id,
        status=status,
        amount_cents=number(one.amount),
        credit_cents=number(one.credit),
        agent_id=one.agent_id,
        action=one.action,
        model=one.model,
        event_id=event_id,
        charged_cents=None if charged is None else number(charged),
        expires_at=iso(one.expires_at),
        created_at=iso(one.created_at),
        closed_at=None if closed_at is None else iso(closed_at),
        test=one.test,
    )


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Reservation).decode
decode_ended = msgspec.json.Decoder(Ended).decode
