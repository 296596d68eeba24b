"""Replies: the values of rev.replies, sent when a command is decided. They are hints; the log is the truth.

One record answers any number of requests of one gateway boot (the record's key; ``*`` is for every
gateway). It also gives the shard's position, by which gateways shed load.
"""

import msgspec

from schemas.commands import PriceRef
from schemas.entries import Entry
from schemas.quantities import Itemized
from schemas.raw_json import EMPTY


class Receipt(Itemized, frozen=True, omit_defaults=True, gc=False):
    """The record of a charged event, with everything needed to answer its request again.

    Amounts are decimal text in cents, ``recorded_at`` is the accepted time in ms.
    """

    event_id: int
    recorded_at: int
    price: PriceRef
    base: str
    token: str
    bonus: str
    total: str
    outcome_id: str | None = None
    exceeded: tuple[int, ...] = ()
    """Ids of the budgets whose limit the event exceeded."""
    credit: str | None = None
    """What prepaid credit paid, in cents; None for a customer without any grant until then."""


def receipt_of(entry: Entry, price: PriceRef, event_id: int, recorded_at: int) -> Receipt:
    """Return the receipt of a charged event, computed from its ledger entry alone."""
    return Receipt(
        event_id=event_id,
        recorded_at=recorded_at,
        price=price,
        base=entry.base,
        token=entry.token,
        bonus=entry.bonus,
        quantity=entry.quantity,
        total=entry.total,
        lines=entry.lines,
        outcome_id=entry.outcome_id,
        exceeded=entry.exceeded,
        credit=entry.credit,
    )


class Numbered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reply to request ``n``. The shard's host sets ``n``; it is -1 before that."""

    n: int = -1


class ChargedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="charged"):
    """The reply to a single meter command."""

    receipt: Receipt
    replayed: bool = False
    voided: bool = False
    """For a replayed event: True if it was voided since."""


class BatchChargedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="batch"):
    """The reply to a batch: totals in cents by index.

    Event ids follow from the address, except those of replayed events, which are given by index.
    ``outcomes`` lists the indexes that opened an outcome, ``voided`` those of replayed events that were
    voided since. ``recorded_at`` is the accepted time of the command that answered.
    """

    recorded_at: int
    totals: list[str]
    replayed: dict[int, int] = {}
    outcomes: list[int] = []
    voided: list[int] = []
    exceeded: dict[int, tuple[int, ...]] = {}
    """By index, the ids of the budgets whose limit an event exceeded."""
    credits: dict[int, str] = {}
    """By index, what prepaid credit paid of an event, in cents."""


class IndexedError(msgspec.Struct, frozen=True, gc=False):
    index: int
    error: str


class RefusedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="refused"):
    """The refusal of a command after its append; ``status`` and ``code`` are those of the HTTP response."""

    status: int
    code: str
    error: str
    errors: list[IndexedError] = []
    outcome: msgspec.Raw = EMPTY
    """If the status of an outcome is the reason: its schemas.objects.OutcomeStatus, JSON."""
    budget: msgspec.Raw = EMPTY
    """If a budget is the reason: the first one, a schemas.spending.BudgetObject, JSON."""
    balance: str | None = None
    """If prepaid credit is the reason: what is left of it, in cents."""


class ConfiguredReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="configured"):
    """The reply to a configuration command: the object as the API shows it (JSON).

    ``view_offset``: the offset in rev.config that a view must have passed to hold the object (-1: nothing was written).
    """

    result: msgspec.Raw = EMPTY
    status: int = 201
    view_offset: int = -1


class OutcomeReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="told"):
    """The reply about an outcome, a void or a budget: the object as the API shows it (JSON) and the status.

    ``elsewhere``: event id of the ledger row whose ``detail`` is the object, if the shard no longer
    has it (then ``result`` is an OutcomeStatus).
    """

    result: msgspec.Raw
    status: int = 200
    replayed: bool = False
    elsewhere: int | None = None


def numbered(reply: "Reply", n: int) -> "Reply":
    """Return the reply with the number of the request that it answers."""
    return msgspec.structs.replace(reply, n=n)


Reply = ChargedReply | BatchChargedReply | RefusedReply | ConfiguredReply | OutcomeReply


class ReplyRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The replies of one shard.

    ``position``: the next raw offset after what is committed. ``decided``: the next raw offset after what is
    decided (-1: the same, from a pricer that commits first).
    """

    shard: int
    position: int
    replies: list[Reply] = []
    decided: int = -1


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(ReplyRecord).decode
