"""A shard's state as seen by the record being applied.

Layers: the changes of this transaction, over those of the one being committed, over the store. Pure except for the
store that it reads.
"""

from bisect import bisect_left
from collections.abc import Iterator

from streams.types import Decision, RetainedRecord, StateView

HOST = b"!"
"""Prefix of the keys reserved for the host; processors may not use it."""
_ABSENT = object()


class ReservedKey(ValueError):
    """A decision changes a key reserved for the host."""


class Overlay:
    """A layer of changes. ``changes`` and ``retained`` are what the transaction will write: last value, in the order
    first seen."""

    def __init__(self, below: StateView) -> None:
        self.changes: dict[bytes, bytes | None] = {}
        self.retained: dict[bytes, RetainedRecord] = {}
        self.below = below
        self._keys: list[bytes] = []
        self._sorted = True

    def rest_on(self, below: StateView) -> None:
        """Replace the layer below, once it is committed."""
        self.below = below

    def get(self, key: bytes) -> bytes | None:
        value = self.changes.get(key, _ABSENT)
        return self.below.get(key) if value is _ABSENT else value  # type: ignore[return-value]

    def get_retained(self, key: bytes) -> RetainedRecord | None:
        found = self.retained.get(key)
        return self.below.get_retained(key) if found is None else found

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over committed and changed pairs in one order, with the changes as of the call."""
        changed = self._changed(prefix)
        if not changed:
            yield from self.below.scan(prefix)
            return
        index = 0
        for key, value in self.below.scan(prefix):
            while index < len(changed) and changed[index][0] < key:
                yield from _present(changed[index])
                index += 1
            if index < len(changed) and changed[index][0] == key:
                yield from _present(changed[index])
                index += 1
            else:
                yield key, value
        for pair in changed[index:]:
            yield from _present(pair)

    def apply(self, decision: Decision) -> None:
        """Make a decision's changes visible to later records. Raises ReservedKey before any change."""
        for key, _ in decision.changes:
            if key.startswith(HOST):
                raise ReservedKey(key)
        for key, value in decision.changes:
            self.set(key, value)
        for one in decision.retained:
            self.retained[one.key] = one

    def set(self, key: bytes, value: bytes | None) -> None:
        if key not in self.changes:
            self._keys.append(key)
            self._sorted = False
        self.changes[key] = value

    def _changed(self, prefix: bytes) -> list[tuple[bytes, bytes | None]]:
        if not self._sorted:
            self._keys.sort()
            self._sorted = True
        found = []
        for index in range(bisect_left(self._keys, prefix), len(self._keys)):
            key = self._keys[index]
            if not key.startswith(prefix):
                break
            found.append((key, self.changes[key]))
        return found


def _present(pair: tuple[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
    key, value = pair
    if value is not None:
        yield key, value
