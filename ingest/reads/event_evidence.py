"""The address of an event id in a path and the evidence about its shard, for reads and voids of an event."""

import re

from ingest.context import Context
from ingest.problems import NotFound
from ingest.reads.event_status import StatusEvidence
from schemas.ids import Address, address_of


async def evidence(context: Context, partition: int) -> StatusEvidence:
    """Collect the evidence about a shard. Raises ReadsUnavailable.

    The order of the reads is part of the rule in ingest.reads.event_status.
    """
    reads = context.ledger()
    position = context.replies.positions.get(partition, -1)
    ends = await reads.ends(partition)
    reached = await reads.reached(partition)
    return StatusEvidence(partition, ends.raw, position, ends.entries, reached.raw, reached.entries)


def event_address(text: str) -> Address:
    """Return the address of an event id in a path. Raises NotFound for an invalid id."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text):
        raise unknown_event(text)
    try:
        return address_of(int(text))
    except ValueError as error:
        raise unknown_event(text) from error


def unknown_event(text: str) -> NotFound:
    """Return the 404 of an event id."""
    return NotFound(f"there is no event {text[:40]!r}")
