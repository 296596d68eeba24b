"""Answers: the values of rev.replies, sent when a command is decided. A hint; the truth is the log.

One record answers any number of requests of one gateway boot (the record's key; ``*`` is
for every gateway). It also tells how far the shard is, by which gateways shed load.
"""

import msgspec

from schemas.commands import EMPTY, PriceRef


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is remembered of an event that was charged, enough to answer for it again.

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


class Numbered(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``n``: of the request that is answered, which the shard's host writes in; -1 until then."""

    n: int = -1


class ChargedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="charged"):
    """Answer to a single meter command."""

    receipt: Receipt
    replayed: bool = False
    voided: bool = False
    """Of a replayed one: the event was taken back since."""


class BatchChargedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="batch"):
    """Answer to a batch: totals in cents by index; event ids follow from the address but for
    the replayed ones, given by index. ``outcomes`` lists the indexes that opened an outcome,
    ``voided`` those of replayed events that were taken back since.
    ``recorded_at`` is the accepted time of the command that answered.
    """

    recorded_at: int
    totals: list[str]
    replayed: dict[int, int] = {}
    outcomes: list[int] = []
    voided: list[int] = []


class IndexedError(msgspec.Struct, frozen=True, gc=False):
    index: int
    error: str


class RefusedReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="refused"):
    """The command was refused after its append; ``status`` and ``code`` as HTTP has them."""

    status: int
    code: str
    error: str
    errors: list[IndexedError] = []
    outcome: msgspec.Raw = EMPTY
    """Where the state of an outcome is the reason: schemas.objects.OutcomeStanding, JSON."""


class ConfiguredReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="configured"):
    """Answer to a configuration command: the object as the API shows it (JSON), and the
    offset in rev.config that a view must have passed to hold it (-1: nothing was written).
    """

    result: msgspec.Raw = EMPTY
    status: int = 201
    view_offset: int = -1


class OutcomeReply(Numbered, frozen=True, omit_defaults=True, gc=False, tag_field="reply", tag="told"):
    """Answer about an outcome or a void: the object as the API shows it (JSON) and the status.

    ``elsewhere``: event id of the ledger row whose ``detail`` is the object, where the shard
    no longer has it (then ``result`` is an OutcomeStanding).
    """

    result: msgspec.Raw
    status: int = 200
    replayed: bool = False
    elsewhere: int | None = None


def numbered(reply: "Reply", n: int) -> "Reply":
    """The reply as it goes to who waits for request ``n``."""
    return msgspec.structs.replace(reply, n=n)


Reply = ChargedReply | BatchChargedReply | RefusedReply | ConfiguredReply | OutcomeReply


class ReplyRecord(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Answers of one shard. ``position`` is the next raw offset after what is committed, ``decided`` that after
    what is decided (-1: the same, of a pricer that commits first)."""

    shard: int
    position: int
    replies: list[Reply] = []
    decided: int = -1


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(ReplyRecord).decode
