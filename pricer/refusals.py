"""Refusals of register, resolve and void after the append: one ``rejected`` entry, and the reply.

The entry carries the command's tag as its ``type``, so that it is not shown among meter events, the reason, and the
outcome's id if known. It carries no money.
"""

from typing import NamedTuple

import msgspec

from pricer.outcome_lookup import FoundOutcome
from pricer.transitions import Transition
from schemas import entries
from schemas.commands import Register, Resolve, Void
from schemas.entries import Entry, EntryRecord
from schemas.raw_json import EMPTY
from schemas.replies import RefusedReply
from streams.types import Decision, InputRecord

Refusable = Register | Resolve | Void


class OutcomeRefusal(NamedTuple):
    """The reason why a command is not carried out; status and code are those used over HTTP."""

    status: int
    code: str
    error: str


def decision(
    command: Refusable,
    record: InputRecord,
    refusal: OutcomeRefusal,
    found: FoundOutcome | None = None,
    status: msgspec.Raw = EMPTY,
    late: Transition | None = None,
) -> Decision:
    """Return the decision for a refusal. ``found``: the outcome concerned. ``late``: its expiry, if the same command
    revealed it; its entries then come before the refusal."""
    reply = RefusedReply(refusal.status, refusal.code, refusal.error, outcome=status)
    if late is None:
        return Decision(entries=rejection(command, record, refusal.error, found), reply=reply)
    before = late.written.entries
    entry = _entry(command, refusal.error, found, index=len(before))
    written = msgspec.structs.replace(late.written, entries=[*before, entry])
    return Decision(entries=entries.encode(written), changes=late.changes, retained=late.retained, reply=reply)


def rejection(command: Refusable, record: InputRecord, reason: str, found: FoundOutcome | None = None) -> bytes:
    """Return the entry record of a refused command. A verdict's test flag is that of its outcome, or of the mode in
    which none exists."""
    api_key_id = 0 if isinstance(command, Void) else command.api_key_id
    test = _is_test(command, found)
    entry = _entry(command, reason, found)
    return entries.encode(
        EntryRecord(command.customer_id, record.offset, record.at, [entry], api_key_id=api_key_id, test=test)
    )


def _is_test(command: Refusable, found: FoundOutcome | None) -> bool:
    if not isinstance(command, Resolve):
        return command.test
    return command.mode == "test" if found is None else found.stored.test


def _entry(command: Refusable, reason: str, found: FoundOutcome | None, index: int = 0) -> Entry:
    actor = command.actor if isinstance(command, Void) else None
    id = None if found is None else found.id
    return Entry("rejected", index, outcome_id=id, reason=reason, type=tag(command), actor=actor)


def tag(command: Refusable) -> str:
    """Return the command's name in its encoding."""
    return str(command.__struct_config__.tag)
