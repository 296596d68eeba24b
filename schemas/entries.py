"""Ledger entries: the values of rev.entries, one record for each command that left any.

The record's key is the customer, its timestamp the accepted time. The ledger reads this
JSON with ClickHouse itself (ledger/sql), so a field that is renamed here is renamed there.
Amounts are decimal text in cents. Times are integer milliseconds since the epoch, UTC.
"""

from typing import Literal

import msgspec

from schemas.commands import EMPTY, MeterEvent, Rates

EntryKind = Literal["event", "charge", "void", "rejected", "config"]


class PriceRef(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price record that an entry was priced with, and where the shard's log holds it."""

    id: int
    action_type: str
    rates: Rates
    offset: int
    """Offset in the same partition of rev.raw of the InstallPrice command."""
    is_default: bool = False


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One row of the ledger.

    ``index`` is the event's place in its command and with the record's raw offset and
    partition makes its event id. ``price`` indexes the record's ``prices``; -1 is none.
    """

    kind: EntryKind
    index: int = 0
    event: MeterEvent | None = None
    price: int = -1
    base: str = "0"
    token: str = "0"
    bonus: str = "0"
    total: str = "0"
    outcome_id: str | None = None
    expires_at: int | None = None
    original: int | None = None
    """event id of the entry that this one refers back to (charge, void)."""
    body_hash: str | None = None
    """Of an event with an idempotency key: hash of its validated body (pricer.idempotency)."""
    reason: str | None = None
    """Why it was rejected or voided."""
    type: str | None = None
    """Of kind config: the domain event, such as ``pricing.updated``."""
    actor: str | None = None
    detail: msgspec.Raw = EMPTY
    """Of kind config: the object as the API shows it."""


class EntryRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """All the entries that one command left; the answer to the command is rendered from it."""

    customer_id: str
    raw_offset: int
    recorded_at: int
    """Accepted time: the append time of the command, made monotone in the shard."""
    entries: list[Entry]
    prices: list[PriceRef] = []
    api_key_id: int = 0
    test: bool = False


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(EntryRecord).decode
