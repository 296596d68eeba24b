"""A shard's local state: the contents of the committed log, available for immediate reads.

A cache of rev.state and rev.entries that can be discarded at any time. MemoryStore is here, RocksStore in
streams/rocks.py; one contract suite tests both. Uncommitted data never enters it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from schemas.limits import DAY
from streams.types import RetainedRecord

RETENTION = 36 * DAY
"""Minimum ms that retained records are kept. The processor decides whether one still counts."""
BUCKETS = 2
"""Number of buckets that divide the window; at most one more exists. Fewer make a miss cheaper (each costs 0.6 us),
more keep less beyond the window."""


FORMAT = 1
"""Format of retained records. A checkpoint of another format is discarded. Raise it when a processor retains the same
entry under another key (1: by mode, docs/decisions/0027)."""


class Checkpoint(NamedTuple):
    """The state's progress in the log: the next offsets of rev.state and rev.entries, the shard's time there (ms), the
    log's epoch, and the FORMAT (0: from before formats were recorded)."""

    epoch: str
    state: int
    entries: int
    at: int
    format: int = 0


class StateStore(Protocol):
    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key begins with prefix, in key order."""
        ...

    def get_retained(self, key: bytes) -> RetainedRecord | None: ...

    def checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint, or None if nothing was ever written."""
        ...

    def write(
        self, changes: Mapping[bytes, bytes | None], retained: Iterable[RetainedRecord], checkpoint: Checkpoint
    ) -> None:
        """Write everything atomically. Retained records older than the window before ``checkpoint.at`` may be
        dropped."""
        ...

    def clear(self) -> None:
        """Delete everything, including the checkpoint."""
        ...

    def close(self) -> None: ...


class Buckets:
    """The division of time into buckets."""

    def __init__(self, retention: int) -> None:
        self.retention = retention
        self._width = max(1, -(-retention // BUCKETS))

    def of(self, at: int) -> int:
        return at // self._width

    def oldest(self, now: int) -> int:
        """Return the oldest bucket still needed at ``now``."""
        return (now - self.retention) // self._width


class MemoryStore:
    """A store that is lost with the process: for tests, and for shards with a small state."""

    def __init__(self, retention: int = RETENTION) -> None:
        self._buckets = Buckets(retention)
        self._state: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._sorted = True
        self._retained: dict[int, dict[bytes, RetainedRecord]] = {}
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
        found = [bucket[key] for bucket in self._retained.values() if key in bucket]
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
                self._retained.setdefault(bucket, {})[one.key] = one
        for bucket in [bucket for bucket in self._retained if bucket < oldest]:
            del self._retained[bucket]
        self._checkpoint = checkpoint

    def clear(self) -> None:
        self._state.clear()
        self._retained.clear()
        self._sorted = False
        self._checkpoint = None

    def close(self) -> None:
        return None
