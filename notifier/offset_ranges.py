"""Ranges of the log that a queue has not considered yet: few, however much they hold. Pure."""

from collections.abc import Iterator

from notifier.delivery import OffsetRange


class OffsetRanges:
    """Ranges of one queue. ``lagging``: True if one of them grows with the tail."""

    def __init__(self) -> None:
        self._all: list[OffsetRange] = []

    def __iter__(self) -> Iterator[OffsetRange]:
        """Iterate over a copy of the current ranges."""
        return iter(list(self._all))

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def lagging(self) -> bool:
        return any(offset_range.end is None for offset_range in self._all)

    def put(self, offset_range: OffsetRange) -> None:
        """Add a range without merging it."""
        self._all.append(offset_range)

    def add(self, added: OffsetRange) -> None:
        """Add a range, merged with an adjacent one if there is one."""
        if added.resolved and added.only is None:
            for other in self._all:
                if _are_adjacent(other, added):
                    _merge(other, added)
                    return
        self._all.append(added)

    def resolve(self, offset_range: OffsetRange, offset: int) -> None:
        """Set the start of a range that was given by its time."""
        self._all.remove(offset_range)
        offset_range.offset = offset
        if offset_range.end is None or offset < offset_range.end:
            self.add(offset_range)

    def advance(self, offset_range: OffsetRange, offset: int, event_index: int, at: int, tail: int) -> None:
        """Record how far the range was considered. ``tail``: next offset of the partition's tail."""
        offset_range.offset, offset_range.event_index, offset_range.at = offset, event_index, at
        if offset >= (tail if offset_range.end is None else offset_range.end):
            self._all.remove(offset_range)

    def clear(self) -> list[OffsetRange]:
        """Remove and return all ranges."""
        found, self._all = self._all, []
        return found

    def first(self) -> OffsetRange | None:
        """Return the range to read next: new events before replays."""
        found = [offset_range for offset_range in self._all if offset_range.resolved]
        return min(found, key=lambda offset_range: (offset_range.replay, offset_range.offset), default=None)

    def behind(self, tail: int) -> int:
        """Return the number of records in the ranges, replays excluded."""
        ours = [offset_range for offset_range in self._all if offset_range.resolved and not offset_range.replay]
        return sum(max(0, (tail if one.end is None else one.end) - one.offset) for one in ours)

    def oldest(self) -> int | None:
        """Return the earliest accepted time, ms, at which a range begins, replays excluded."""
        return min((offset_range.at for offset_range in self._all if not offset_range.replay), default=None)


def _are_adjacent(one: OffsetRange, other: OffsetRange) -> bool:
    if not one.resolved or one.only is not None or one.replay != other.replay:
        return False
    first, second = (one, other) if (one.offset, one.event_index) <= (other.offset, other.event_index) else (other, one)
    # A range that begins within a record is not adjacent to one that ends before that record.
    return first.end is None or second.offset < first.end or (second.offset == first.end and not second.event_index)


def _merge(one: OffsetRange, other: OffsetRange) -> None:
    if (other.offset, other.event_index) < (one.offset, one.event_index):
        one.offset, one.event_index = other.offset, other.event_index
    one.at = min(one.at, other.at)
    one.end = None if one.end is None or other.end is None else max(one.end, other.end)
