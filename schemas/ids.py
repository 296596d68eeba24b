"""Addresses in the log and the ids derived from them.

An event's id is its address in rev.raw packed into an integer below 2^53. So it is unique, the
same after every replay, known when the append is acknowledged, and exact in JavaScript.
Layout: ``offset * 2^16 + partition * 2^10 + index``.
"""

from typing import NamedTuple

MAX_PARTITIONS = 64
MAX_INDEX = 1023
MAX_OFFSET = 2**37 - 1
OFFSET_ALARM = MAX_OFFSET * 8 // 10
"""The raw offset from which a shard raises an alarm: 80 % of its event ids are used."""


class Address(NamedTuple):
    """The position of one event in rev.raw; ``event_index`` is its index in the record."""

    partition: int
    offset: int
    event_index: int


def event_id(partition: int, offset: int, index: int = 0) -> int:
    """Return the id of event ``index`` of the raw record at (partition, offset)."""
    if not (0 <= partition < MAX_PARTITIONS and 0 <= offset <= MAX_OFFSET and 0 <= index <= MAX_INDEX):
        raise ValueError(f"no event id for partition {partition}, offset {offset}, index {index}")
    return offset << 16 | partition << 10 | index


def address_of(event: int) -> Address:
    """Return the address of an event id. Raises ValueError if no event can have this id."""
    if not 0 <= event < 2**53:
        raise ValueError(f"{event} is not an event id")
    return Address(event >> 10 & 63, event >> 16, event & 1023)


def outcome_id(event: int) -> str:
    """Return the id of the outcome that the command with this event id opened."""
    return f"oc_{event}"
