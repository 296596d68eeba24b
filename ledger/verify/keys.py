"""Which idempotency keys were charged and when: on disk, since a window can hold more than memory."""

import sqlite3
from hashlib import sha256
from typing import NamedTuple


class Known(NamedTuple):
    """What a key stands for. ``body`` is empty when it was charged before the log begins."""

    body: bytes
    at: int


class Keys:
    """Charged keys of one shard, in a private temporary database that goes with ``close``."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE known (name BLOB PRIMARY KEY, body BLOB, at INTEGER) WITHOUT ROWID")

    def recall(self, customer: str, key: str) -> Known | None:
        found = self._db.execute("SELECT body, at FROM known WHERE name = ?", (_name(customer, key),)).fetchone()
        return None if found is None else Known(*found)

    def remember(self, customer: str, key: str, known: Known) -> None:
        """What was charged last under the key."""
        self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (_name(customer, key), known.body, known.at))

    def close(self) -> None:
        self._db.close()


def body_of(canonical: str) -> bytes:
    """What two equal bodies have in common."""
    return sha256(canonical.encode()).digest()


def _name(customer: str, key: str) -> bytes:
    return sha256(f"{len(customer)}:{customer}{key}".encode("utf-8", "surrogatepass")).digest()
