"""Which event a path names, and what is known of its shard: for the read of an event and for what takes one back."""

import re

from ingest.context import Context
from ingest.problems import NotFound
from ingest.reads.event_status import StatusEvidence
from schemas.ids import Address, address_of


async def evidence(context: Context, partition: int) -> StatusEvidence:
    """What is known of a shard; the order of the questions is part of the rule. Raises ReadsUnavailable."""
    reads = context.ledger()
    position = context.replies.positions.get(partition, -1)
    ends = await reads.ends(partition)
    reached = await reads.reached(partition)
    return StatusEvidence(partition, ends.raw, position, ends.entries, reached.raw, reached.entries)


def event_address(text: str) -> Address:
    """The address that an event id in a path stands for. Raises NotFound for what is none."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,15}", text):
        raise unknown_event(text)
    try:
        return address_of(int(text))
    except ValueError as error:
        raise unknown_event(text) from error


def unknown_event(text: str) -> NotFound:
    """The 404 of an event id."""
    return NotFound(f"there is no event {text[:40]!r}")
