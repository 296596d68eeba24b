"""Records which idempotency keys were charged and when: on disk, since a window can hold more than memory."""

import sqlite3
from hashlib import sha256
from typing import NamedTuple


class Known(NamedTuple):
    """Charge recorded under a key. ``body`` is empty if it was charged before the log begins."""

    body: bytes
    at: int


class Keys:
    """Charged keys of one shard, in a private temporary database that ``close`` deletes."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=OFF")
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("CREATE TABLE known (name BLOB PRIMARY KEY, body BLOB, at INTEGER) WITHOUT ROWID")

    def find(self, customer: str, key: str, mode: str | None) -> Known | None:
        """Return the charge under a key in a mode; without a mode, the latest one in either mode."""
        modes = [mode] if mode is not None else ["live", "test"]
        found = [known for one in modes if (known := self._of(_name(customer, key, one == "test"))) is not None]
        return max(found, key=lambda known: known.at, default=None)

    def add(self, customer: str, key: str, known: Known, test: bool) -> None:
        """Record the latest charge under the key; ``test``: of its row."""
        name = _name(customer, key, test)
        self._db.execute("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", (name, known.body, known.at))

    def _of(self, name: bytes) -> Known | None:
        found = self._db.execute("SELECT body, at FROM known WHERE name = ?", (name,)).fetchone()
        return None if found is None else Known(*found)

    def close(self) -> None:
        self._db.close()


def body_of(canonical: str) -> bytes:
    """Return a hash that is the same for equal bodies."""
    return sha256(canonical.encode()).digest()


def _name(customer: str, key: str, test: bool) -> bytes:
    return sha256(
        f"{'test' if test else 'live'}:{len(customer)}:{customer}{key}".encode("utf-8", "surrogatepass")
    ).digest()
