"""Ledger entries: the values of rev.entries, one record for each command that left entries.

The record's key is the customer, its timestamp the accepted time. ClickHouse itself parses this
JSON for the ledger (warehouse/sql), so a field that is renamed here must be renamed there.
Amounts are decimal text in cents. Times are integer milliseconds since the epoch, UTC.
"""

from typing import TYPE_CHECKING, Literal

import msgspec

from schemas.commands import MeterEvent, PriceRef
from schemas.funding import Funded
from schemas.outcome_terms import LEDGER_TERMS
from schemas.raw_json import EMPTY

EntryKind = Literal["event", "registered", "charge", "waived", "void", "rejected", "config", "adjustment"]
Verdict = Literal["succeeded", "failed", "expired"]
"""The way in which an outcome ended."""


if TYPE_CHECKING:

    class EntryTerms(Funded, frozen=True): ...

else:
    EntryTerms = msgspec.defstruct(
        "EntryTerms",
        [(term.name, str | None, None) for term in LEDGER_TERMS],
        bases=(Funded,),
        rename={term.name: term.in_entry for term in LEDGER_TERMS if term.in_entry},
        frozen=True,
        omit_defaults=True,
        gc=False,
        kw_only=True,
        module=__name__,
    )
    """The terms of a registered outcome, in the entries that open and close it.

    The price on success of a pending event is the bonus of the price record.
    """


class Entry(EntryTerms, frozen=True, omit_defaults=True, gc=False):
    """One row of the ledger.

    Kinds: an ``event``, charged at once; an outcome ``registered``; an outcome closed, with money
    (``charge``) or without (``waived``); a ``void`` of an event or charge; a ``rejected`` command; a
    ``config`` change; an ``adjustment``, which settles a month of a price row or charges an event that came before its
    price. ``index`` is the event's place in its command and with the record's raw offset and partition makes its event
    id. ``price`` indexes the record's ``prices``; -1 is none.
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
    """For an entry that opened an outcome: when it expires."""
    original: int | None = None
    """The event id of the entry that this one refers to: the entry that opened the outcome (charge, waived), the
    voided entry (void), or the event that an adjustment charges.
    """
    body_hash: str | None = None
    """For an entry whose event has an idempotency key: hash of the validated body (pricer.idempotency)."""
    reason: str | None = None
    """The reason for the rejection or the void; of an adjustment, its month, such as ``2026-11``, or the event that it
    charges."""
    type: str | None = None
    """For kind config: the domain event, such as ``pricing.updated``. For a void: ``charge`` if it voids a charge.
    For a rejected command that is not a meter command: its tag.
    """
    actor: str | None = None
    detail: msgspec.Raw = EMPTY
    """The object as the API shows it: the configured object, or the outcome (registered, charge, waived:
    schemas.objects.OutcomeObject).
    """
    verdict: Verdict | None = None
    """For an entry that closed an outcome (charge, waived)."""
    exceeded: tuple[int, ...] = ()
    """For an event or charge: the ids of the budgets whose limit it exceeded."""


class EntryRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """All entries of one command; the reply to the command is rendered from it."""

    customer_id: str
    raw_offset: int
    recorded_at: int
    """Accepted time: the append time of the command, made monotone in the shard."""
    entries: list[Entry]
    prices: list[PriceRef] = []
    api_key_id: int = 0
    test: bool = False
    import_id: str | None = None
    """The import of the meter command, or of what this record closes or voids."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(EntryRecord).decode
