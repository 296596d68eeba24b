"""The status of an event id that has no row in the ledger. Pure.

The rule is documented in docs/decisions/0020-event-standing.md and tested as a table. An id is an
address in rev.raw, so the log itself shows what cannot exist: nothing at or above its end, nothing of
this customer in another customer's partition. Below that, the entries of a command are either still on
their way or will never come.
"""

from enum import Enum
from typing import NamedTuple

from schemas.ids import Address
from streams.log_ends import MARKER as MARKER


class EventStatus(Enum):
    ACCEPTED = "accepted"
    """Durable and on its way to the ledger (202)."""
    ABSENT = "absent"
    """No event of this customer will ever have this id (404)."""


class StatusEvidence(NamedTuple):
    """Evidence about one shard, collected in this order, so that later facts are newer.

    Offsets; -1 where there is nothing yet. ``partition`` is the customer's own.
    """

    partition: int
    raw_end: int
    """Offset after the last record of rev.raw."""
    position: int
    """Next raw offset that the pricer will read, as it last reported; -1: it has reported nothing."""
    entries_end: int
    """Offset after the last record or marker of rev.entries.

    Not the last stable offset: that may lag behind a commit that the pricer has already reported.
    """
    ledger_raw: int
    """Highest raw offset that has a row in the ledger."""
    ledger_entries: int
    """Highest offset of rev.entries that has a row in the ledger."""


def event_status(address: Address, seen: StatusEvidence) -> EventStatus:
    """Return the status of an event that had no row in the ledger after ``seen`` was collected."""
    if address.partition != seen.partition or address.offset >= seen.raw_end:
        return EventStatus.ABSENT
    if seen.ledger_raw >= address.offset:
        # rows arrive in log order, and all rows of a command at once
        return EventStatus.ABSENT
    if seen.position <= address.offset:
        return EventStatus.ACCEPTED
    above = seen.entries_end - 1 - seen.ledger_entries
    if above <= (MARKER if seen.ledger_entries >= 0 else 0):
        # everything decided is in the ledger, and this was decided: the command left no such entry
        return EventStatus.ABSENT
    return EventStatus.ACCEPTED
