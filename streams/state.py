"""A shard's local state: what the committed log says, readable at once.

A cache of rev.state and rev.entries that can be thrown away at any time. MemoryStore is here,
RocksStore in streams/rocks.py; one contract suite holds both. Nothing uncommitted may come in.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from schemas.limits import DAY
from streams.types import RetainedRecord

RETENTION = 36 * DAY
"""ms that what is remembered is kept at least; whether it still counts is the processor's decision."""
BUCKETS = 2
"""The window is cut into so many buckets; one more is alive at most. Fewer make a miss
cheaper (each costs 0.6 us), more keep less beyond the window."""


FORMAT = 1
"""How what is remembered is kept. A checkpoint of another format is thrown away; it rises when a
processor remembers the same entry under another key (1: by mode, docs/decisions/0027)."""


class Checkpoint(NamedTuple):
    """How far into the log the state is: next offsets of rev.state and rev.entries, the
    shard's time at that point (ms), the log it is of, and the FORMAT (0: from before there was one)."""

    epoch: str
    state: int
    entries: int
    at: int
    format: int = 0


class StateStore(Protocol):
    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with prefix, in key order."""
        ...

    def get_retained(self, key: bytes) -> RetainedRecord | None: ...

    def checkpoint(self) -> Checkpoint | None:
        """None: nothing was ever written."""
        ...

    def write(
        self, changes: Mapping[bytes, bytes | None], retained: Iterable[RetainedRecord], checkpoint: Checkpoint
    ) -> None:
        """All of it at once, or nothing. What is remembered and older than the window
        before ``checkpoint.at`` may be forgotten."""
        ...

    def clear(self) -> None:
        """Throw everything away, the checkpoint too."""
        ...

    def close(self) -> None: ...


class Buckets:
    """Which bucket something of a time belongs to, and which buckets are still needed."""

    def __init__(self, retention: int) -> None:
        self.retention = retention
        self._width = max(1, -(-retention // BUCKETS))

    def of(self, at: int) -> int:
        return at // self._width

    def oldest(self, now: int) -> int:
        """Buckets below this one hold nothing that must be remembered at ``now``."""
        return (now - self.retention) // self._width


class MemoryStore:
    """Lost with the process: for tests, and for a shard whose state is small."""

    def __init__(self, retention: int = RETENTION) -> None:
        self._buckets = Buckets(retention)
        self._state: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._sorted = True
        self._remembered: dict[int, dict[bytes, RetainedRecord]] = {}
        self._checkpoint: Checkpoint | None = None

    def get(self, key: bytes) -> bytes | None:
        return self._state.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        if not self._sorted:
            self._keys = sorted(self._state)
            self._sorted = True
        keys = self._keys
        for index in range(bisect_left(keys, prefix), len(keys)):
            key = keys[index]
            if not key.startswith(prefix):
                return
            yield key, self._state[key]

    def get_retained(self, key: bytes) -> RetainedRecord | None:
        found = [bucket[key] for bucket in self._remembered.values() if key in bucket]
        return max(found, key=lambda one: one.at, default=None)

    def checkpoint(self) -> Checkpoint | None:
        return self._checkpoint

    def write(
        self, changes: Mapping[bytes, bytes | None], retained: Iterable[RetainedRecord], checkpoint: Checkpoint
    ) -> None:
        self._sorted = False
        for key, value in changes.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        oldest = self._buckets.oldest(checkpoint.at)
        for one in retained:
            bucket = self._buckets.of(one.at)
            if bucket >= oldest:
                self._remembered.setdefault(bucket, {})[one.key] = one
        for bucket in [bucket for bucket in self._remembered if bucket < oldest]:
            del self._remembered[bucket]
        self._checkpoint = checkpoint

    def clear(self) -> None:
        self._state.clear()
        self._remembered.clear()
        self._sorted = False
        self._checkpoint = None

    def close(self) -> None:
        return None
