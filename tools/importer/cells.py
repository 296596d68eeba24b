"""What one cell of a usage file says: whole numbers, names, times. Pure.

An absent cell (an empty one of a CSV, null) is None and never comes here. A cell that says something else
than its field can hold raises ValueError, which becomes a BadCell: it is never rounded, cut or guessed,
since it would be billed.
"""

import re
from typing import Any, Protocol

import msgspec

from schemas.limits import MAX_NAME, MAX_TOKENS
from tools.importer.columns import trimmed
from tools.importer.row_keys import UNDONE
from tools.importer.timestamps import SHORTENED, Times

WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
KEPT = 4096


class BadCell(ValueError):
    """A cell that cannot be imported: ``column`` ('' when it is the whole row) and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class Cells(Protocol):
    """How one file format writes a cell down. ``named``: its rows keep cells by name, not in a list."""

    named: bool

    def text(self, cell: Any) -> str:
        """Raises ValueError when it is no text."""
        ...

    def id(self, cell: Any) -> str:
        """Text, or a whole number as it is written. Raises ValueError."""
        ...

    def whole(self, cell: Any) -> int:
        """Raises ValueError when it is no whole number."""
        ...

    def moment(self, cell: Any, times: Times) -> int:
        """UTC milliseconds. Raises ValueError when it is no time."""
        ...

    def json(self, cell: Any) -> Any:
        """The cell as a value for metadata, its digits untouched. Raises ValueError."""
        ...


class CsvCells:
    """Cells of text."""

    named = False

    def text(self, cell: str) -> str:
        return cell

    def id(self, cell: str) -> str:
        return cell

    def whole(self, cell: str) -> int:
        return whole(cell)

    def moment(self, cell: str, times: Times) -> int:
        return times.read(cell)

    def json(self, cell: str) -> Any:
        return cell


class JsonCells:
    """Cells of JSON text (msgspec.Raw)."""

    named = True

    def text(self, cell: msgspec.Raw) -> str:
        try:
            return msgspec.json.decode(cell, type=str)
        except msgspec.MsgspecError:
            raise ValueError(f"{_shown(cell)} is not a string") from None

    def id(self, cell: msgspec.Raw) -> str:
        text = bytes(cell).decode()
        return text if WHOLE.fullmatch(text) else self.text(cell)

    def whole(self, cell: msgspec.Raw) -> int:
        return whole(bytes(cell).decode())

    def moment(self, cell: msgspec.Raw, times: Times) -> int:
        text = bytes(cell).decode()
        return times.read(self.text(cell).strip() if text.startswith('"') else text)

    def json(self, cell: msgspec.Raw) -> Any:
        return cell


def _shown(cell: msgspec.Raw) -> str:
    text = bytes(cell).decode()
    return text if len(text) <= 40 else text[:40] + "…"


def whole(text: str) -> int:
    """A token count: 0 to 10^12. Raises ValueError for anything else, such as 2400.0."""
    if len(text) <= 12 and text.isdigit() and text.isascii():
        return int(text)
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a whole number")
    number = int(text)
    if not 0 <= number <= MAX_TOKENS:
        raise ValueError(f"{number} is not from 0 to {MAX_TOKENS}")
    return number


def name(text: str) -> str:
    """1 to 256 characters without control characters, trimmed. Raises ValueError for anything else."""
    text = trimmed(text)
    if not 1 <= len(text) <= MAX_NAME:
        raise ValueError(f"must have 1 to {MAX_NAME} characters")
    if has_control(text):
        raise ValueError("must not contain control characters")
    return text


class NameColumns(dict[str, str]):
    """``names[text]`` is `name(text)`; what was read last is remembered, since agents, actions and models come
    again and again."""

    def __missing__(self, text: str) -> str:
        if len(self) >= KEPT:
            self.clear()
        made = self[text] = name(text)
        return made


class IntegerColumns(dict[str, int]):
    """``wholes[text]`` is `whole(text)`; short numbers are remembered."""

    def __missing__(self, text: str) -> int:
        made = whole(text)
        if len(text) <= 4:
            self[text] = made
        return made


def customer(text: str) -> str:
    """An id that a customer can have. Raises ValueError."""
    text = name(text)
    if text == "*" or text.startswith("_"):
        raise ValueError(f"{text[:40]!r} is reserved: '*' and ids that begin with '_' cannot be customers")
    return text


def own_key(text: str) -> str:
    """A file's own idempotency key. Raises ValueError."""
    if SHORTENED.fullmatch(text):
        raise ValueError(f"{text!r} is no id: a spreadsheet has shortened a number")
    text = name(text)
    if UNDONE.search(text):
        raise ValueError(f"{text[:40]!r} ends as the keys of rows do that are imported again after an undo")
    return text
