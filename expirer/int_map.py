"""A map from event ids to small numbers that takes 12 bytes per entry, where a dictionary takes 75.

It consists of sorted blocks of two arrays, found by bisection. Almost all ids come in rising order, so most entries are
appended to the last block. Growth causes no pause: at most one block is moved at a time. This module does not interpret
the numbers.
"""

from array import array
from bisect import bisect_left, bisect_right

MOST = 2048
"""Maximum entries in a block. One that falls below a quarter is joined with its neighbour if both fit into a half."""


class IntMap:
    """A map with integer keys below 2^64 and values below 2^32."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._firsts: list[int] = []
        """For each block, a number at most its least key and above all keys of the block before."""
        self._keys: list[array[int]] = []
        self._values: list[array[int]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: int) -> bool:
        return self.get(key) is not None

    def get(self, key: int) -> int | None:
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return None
        keys = self._keys[at]
        slot = bisect_left(keys, key)
        return self._values[at][slot] if slot < len(keys) and keys[slot] == key else None

    def put(self, key: int, value: int) -> bool:
        """Add an entry. Return False, changing nothing, if the key exists."""
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            at = 0
            if self._firsts:
                self._firsts[0] = key
            else:
                self._insert_block(0, array("Q"), array("I"), key)
        keys = self._keys[at]
        slot = bisect_left(keys, key)
        if slot < len(keys) and keys[slot] == key:
            return False
        if len(keys) >= self._most:
            at, slot = self._make_room(at, slot, key)
        self._keys[at].insert(slot, key)
        self._values[at].insert(slot, value)
        self._count += 1
        return True

    def pop(self, key: int) -> int | None:
        """Remove a key and return its value, or None if it does not exist."""
        at = bisect_right(self._firsts, key) - 1
        if at < 0:
            return None
        keys = self._keys[at]
        slot = bisect_left(keys, key)
        if slot == len(keys) or keys[slot] != key:
            return None
        del keys[slot]
        self._count -= 1
        value = self._values[at].pop(slot)
        if not keys:
            self._delete_block(at)
        elif len(keys) < self._most // 4:
            self._join(at)
        return value

    def _make_room(self, at: int, slot: int, key: int) -> tuple[int, int]:
        """Return where the key goes when its block is full. After the last block a new one begins, so that blocks
        filled in order are full; any other block is split in two."""
        keys, values = self._keys[at], self._values[at]
        if slot == len(keys) and at == len(self._keys) - 1:
            self._insert_block(at + 1, array("Q"), array("I"), key)
            return at + 1, 0
        half = len(keys) // 2
        self._insert_block(at + 1, keys[half:], values[half:], keys[half])
        del keys[half:], values[half:]
        return (at, slot) if slot <= half and key < self._firsts[at + 1] else (at + 1, slot - half)

    def _join(self, at: int) -> None:
        """Join the block with the one after it (the last one: before it), unless the result is too large."""
        left = at if at + 1 < len(self._keys) else at - 1
        if left >= 0 and len(self._keys[left]) + len(self._keys[left + 1]) <= self._most // 2:
            self._keys[left].extend(self._keys[left + 1])
            self._values[left].extend(self._values[left + 1])
            self._delete_block(left + 1)

    def _insert_block(self, at: int, keys: "array[int]", values: "array[int]", first: int) -> None:
        self._firsts.insert(at, first)
        self._keys.insert(at, keys)
        self._values.insert(at, values)

    def _delete_block(self, at: int) -> None:
        del self._firsts[at], self._keys[at], self._values[at]
