"""The stretches of the log that a lane has not considered yet: few, however much they hold. Pure."""

from collections.abc import Iterator

from notifier.letters import Range


class Stretches:
    """``lagging``: whether one of them grows with the tail."""

    def __init__(self) -> None:
        self._all: list[Range] = []

    def __iter__(self) -> Iterator[Range]:
        """Of those that there are now."""
        return iter(list(self._all))

    def __bool__(self) -> bool:
        return bool(self._all)

    @property
    def lagging(self) -> bool:
        return any(stretch.end is None for stretch in self._all)

    def put(self, stretch: Range) -> None:
        """One more, as it is."""
        self._all.append(stretch)

    def add(self, added: Range) -> None:
        """One more, made one with one that it touches."""
        if added.resolved and added.only is None:
            for other in self._all:
                if _touch(other, added):
                    _absorb(other, added)
                    return
        self._all.append(added)

    def resolve(self, stretch: Range, offset: int) -> None:
        """Where one begins that was given by its time."""
        self._all.remove(stretch)
        stretch.offset = offset
        if stretch.end is None or offset < stretch.end:
            self.add(stretch)

    def advance(self, stretch: Range, offset: int, place: int, at: int, tail: int) -> None:
        """It was considered up to here. ``tail``: next offset of the partition's tail."""
        stretch.offset, stretch.place, stretch.at = offset, place, at
        if offset >= (tail if stretch.end is None else stretch.end):
            self._all.remove(stretch)

    def clear(self) -> list[Range]:
        """All of them; none are left."""
        found, self._all = self._all, []
        return found

    def first(self) -> Range | None:
        """The one to be read next: what is new before what is repeated."""
        found = [stretch for stretch in self._all if stretch.resolved]
        return min(found, key=lambda stretch: (stretch.replay, stretch.offset), default=None)

    def behind(self, tail: int) -> int:
        """Records in them, those to be replayed left out."""
        ours = [stretch for stretch in self._all if stretch.resolved and not stretch.replay]
        return sum(max(0, (tail if one.end is None else one.end) - one.offset) for one in ours)

    def oldest(self) -> int | None:
        """Accepted time, ms, where the first of them begins, those to be replayed left out."""
        return min((stretch.at for stretch in self._all if not stretch.replay), default=None)


def _touch(one: Range, other: Range) -> bool:
    if not one.resolved or one.only is not None or one.replay != other.replay:
        return False
    first, second = (one, other) if (one.offset, one.place) <= (other.offset, other.place) else (other, one)
    # A stretch that begins within a record does not touch one that ends before it.
    return first.end is None or second.offset < first.end or (second.offset == first.end and not second.place)


def _absorb(one: Range, other: Range) -> None:
    if (other.offset, other.place) < (one.offset, one.place):
        one.offset, one.place = other.offset, other.place
    one.at = min(one.at, other.at)
    one.end = None if one.end is None or other.end is None else max(one.end, other.end)
