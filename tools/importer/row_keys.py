"""Idempotency keys of a file's rows, and the id of its import. Pure.

A row's key is made of the file's SHA-256 and the row's number, or is the id from the file if --map names
one. A second import of the same file, with any options, makes the same keys. After an undo a row's next key
is the old one with ``#undo1`` (then ``#undo2`` …), so that it can be charged again.
"""

import re

IMPORT = "imp_"
UNDO_REASON = "undo of import "
"""Beginning of the reason of a void made by an undo; the import's id follows."""
UNDONE = re.compile(r"#undo([0-9]{1,9})$", re.ASCII)
"""Ending of a key made after an undo; no id from a file may have it."""


def import_id(sha256: str) -> str:
    """Return the id of the import of a file, which labels its events."""
    return IMPORT + sha256[:20]


def again(key: str, undone: int) -> str:
    """Return the key of a row after it was charged under ``key`` and then undone ``undone`` times."""
    if not undone:
        return key
    found = UNDONE.search(key)
    return f"{key}#undo{undone}" if found is None else f"{key[: found.start()]}#undo{int(found[1]) + undone}"


def was_undone(reason: str | None) -> bool:
    """True if a void with this reason was made by the undo of an import."""
    return reason is not None and reason.startswith(UNDO_REASON + IMPORT)


def row_prefix(sha256: str) -> str:
    """Return the beginning of a row's key; the row's number follows."""
    return f"import/{sha256}/"


class OwnIds:
    """Ids of a file's rows, compared with each other within a customer."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str | None, str], tuple[int, int]] = {}

    def earlier(self, customer: str | None, key: str, row: int, content: int) -> tuple[int, bool] | None:
        """Return the earlier row with this id and whether it is equal; None if this is the first.
        ``content``: a hash of the event."""
        first = self._seen.setdefault((customer, key), (row, content))
        return None if first[0] == row else (first[0], first[1] == content)
