"""The idempotency keys of a file's rows, and the id of its import. Pure.

A row's key is made of the file's SHA-256 and the row's number, or is the file's own id where --map gives
one. A second import of the same file, with whatever options, makes the same keys. After an undo a row's
next key is the old one with ``#undo1`` (then ``#undo2`` …), so that it can be charged again.
"""

import re

IMPORT = "imp_"
UNDO_REASON = "undo of import "
"""How the reason of a void begins that an undo made; the import's id follows."""
UNDONE = re.compile(r"#undo([0-9]{1,9})$", re.ASCII)
"""How a key ends that was made after an undo; no file's own id may."""


def import_id(sha256: str) -> str:
    """The id of the import of a file: the label of its events."""
    return IMPORT + sha256[:20]


def again(key: str, undone: int) -> str:
    """The key of a row after it was charged under ``key``, and taken back by an undo, so many times."""
    if not undone:
        return key
    found = UNDONE.search(key)
    return f"{key}#undo{undone}" if found is None else f"{key[: found.start()]}#undo{int(found[1]) + undone}"


def was_undone(reason: str | None) -> bool:
    """Whether a void of this reason was made by the undo of an import."""
    return reason is not None and reason.startswith(UNDO_REASON + IMPORT)


def row_prefix(sha256: str) -> str:
    """What the key of a row begins with; its number follows."""
    return f"import/{sha256}/"


class OwnIds:
    """The ids of a file's rows, held against each other within a customer."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str | None, str], tuple[int, int]] = {}

    def earlier(self, customer: str | None, key: str, row: int, content: int) -> tuple[int, bool] | None:
        """The earlier row with this id, and whether it says the same; None when this is the first.
        ``content``: a hash of the event."""
        first = self._seen.setdefault((customer, key), (row, content))
        return None if first[0] == row else (first[0], first[1] == content)
