"""A shard's state in rev.state: its keys and values. The pricer writes it, the expirer reads it.

Keys are ``kind/...``. The parts that a customer chose are separated by the unit separator, which
no name may contain. Money is decimal text in cents, times are milliseconds UTC.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import fields

from schemas.commands import OnExpiry, PriceRef, Rates
from schemas.entries import Verdict
from schemas.labels import Labels
from schemas.outcome_terms import TERMS, Terms
from schemas.price_match import PriceSlot

SEPARATOR = b"\x1f"
PRICE_NUMBER = b"price-number"
"""Key of the number of the last InstallPrice that the shard applied, as decimal text."""
PRICE_SCOPED = b"price-scoped"
"""Key of what the shard has ever had, one letter each; before that, no event looks for it. The name is older than all
letters but the first. After the letters stands the filter of customers with a budget or credit (schemas.spending)."""
SCOPED, LIMITED, MONTHLY, ANCHORED = b"1", b"s", b"m", b"a"
"""A price for one model or provider; a customer with a budget or prepaid credit; an open month; a customer with a
billing anchor."""
NOTICES = b"notices"
"""Key of the number of the last InvoiceNotice that the shard applied, as decimal text."""
OUTCOME_PREFIX = b"outcome/"
TASK_PREFIX = b"task/"
VOID_PREFIX = b"void/"
COUNT_PREFIX = b"count/"
PRICE_PREFIX = b"price/"


class InstalledPrice(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price in force for one slot (schemas.price_match), or the first one scheduled, and the ones after it."""

    id: int
    action_type: str
    rates: Rates
    offset: int
    """Raw offset of the InstallPrice command, in this shard's partition."""
    is_default: bool = False
    model: str | None = None
    provider: str | None = None
    effective_at: int | None = None
    """The accepted time from which it is in force; None if it is already."""
    later: tuple["InstalledPrice", ...] = ()
    """The prices that follow it, by time; theirs are empty."""
    test: bool = False
    """Its customer was flagged test when it was set."""


if TYPE_CHECKING:

    class _Opened(Labels, Terms, frozen=True): ...

else:
    _Opened = msgspec.defstruct(
        "_Opened",
        [(one.name, one.type) if one.required else (one.name, one.type, one.default) for one in fields(Terms)],
        bases=(Labels,),
        rename={term.name: term.in_state for term in TERMS if term.in_state},
        frozen=True,
        kw_only=True,
        module=__name__,
    )


class OpenOutcome(_Opened, frozen=True, omit_defaults=True, gc=False, tag_field="is", tag="open"):
    """An open outcome, registered or opened by a pending meter event.

    The task_id addresses a registered outcome; for a pending event it is only a label. The struct holds
    everything that closing needs: the price of either verdict, the verdict whose price an expiry charges,
    and the event and price record that a charge refers to.
    """

    event_id: int
    """The event id of the command or event that opened it; the outcome's id is ``oc_<event_id>``."""
    customer_id: str
    agent_id: str
    action: str
    expires_at: int
    created_at: int
    """Accepted time of what opened it."""
    price: PriceRef | None = None
    """The price record of a pending event; a registered outcome has none."""
    on_expiry: OnExpiry = "failure"
    api_key_id: int = 0
    test: bool = False
    voided: bool = False
    """The event that opened it was voided: no verdict charges anything."""
    import_id: str | None = None
    """The import of the event that opened it, for the entry that closes it."""


class ClosedOutcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="is", tag="closed"):
    """The part of a closed outcome that is kept permanently; the rest is in the ledger."""

    customer_id: str
    verdict: Verdict
    charge: str
    closed_by: int
    """The event id of the entry that closed it; its ``detail`` is the outcome as the API shows it."""
    resolved_at: int
    task_id: str | None = None
    registered: bool = False
    test: bool = False


Outcome = OpenOutcome | ClosedOutcome


class MonthCount(msgspec.Struct, frozen=True, gc=False):
    """What a customer used in a billing period of a price with steps: micro-units by quantity, as decimal text, since
    they may exceed 64 bits; ``event`` counts events. ``month``: the name of the period without dashes, 202611."""

    month: int
    used: dict[str, str]


class Counters(msgspec.Struct, frozen=True):
    """The last id given to a key, a price and a webhook, and the last number of a price change."""

    key: int = 0
    price: int = 0
    number: int = 0
    webhook: int = 0


def price_key(slot: PriceSlot) -> bytes:
    """Return the key of the price in force for a slot."""
    key = PRICE_PREFIX + (slot.customer_id or "").encode() + SEPARATOR + slot.action.encode()
    if not slot.scoped:
        return key
    return key + SEPARATOR + (slot.model or "").encode() + SEPARATOR + (slot.provider or "").encode()


def count_key(customer_id: str, test: bool, slot: PriceSlot) -> bytes:
    """Return the key of the month's count of one customer and mode for the prices of a slot."""
    return COUNT_PREFIX + namespace(customer_id, test) + price_key(slot)


def with_mark(stored: bytes | None, mark: bytes) -> bytes:
    """Return the value of PRICE_SCOPED with one more letter."""
    return mark if stored is None else stored if mark in stored else mark + stored


def outcome_key(outcome_id: str) -> bytes:
    """Return the key of an outcome, open or closed."""
    return OUTCOME_PREFIX + outcome_id.encode()


def namespace(customer_id: str, test: bool) -> bytes:
    """Return the prefix of the names of one mode of a customer.

    No customer id and no name holds the separator, so names of two customers or modes cannot collide.
    """
    return customer_id.encode() + (SEPARATOR + SEPARATOR if test else SEPARATOR)


def task_key(customer_id: str, task_id: str, test: bool = False) -> bytes:
    """Return the key of the id of the outcome that was registered for a task.

    In logs from before modes were separate, test tasks are kept among the live ones.
    """
    return TASK_PREFIX + namespace(customer_id, test) + task_id.encode()


def void_key(event_id: int) -> bytes:
    """Return the key of the reply (JSON) to the void of an entry, which is kept so that it is voided once."""
    return VOID_PREFIX + b"%d" % event_id


encode = msgspec.json.Encoder().encode
decode_price = msgspec.json.Decoder(InstalledPrice).decode
decode_count = msgspec.json.Decoder(MonthCount).decode
decode_outcome = msgspec.json.Decoder(Outcome).decode
"""Decode an outcome. Raises msgspec.ValidationError or DecodeError."""
