"""Reads one cell of a usage file: whole numbers, names, times. Pure.

An absent cell (an empty one of a CSV, null) is None and is never passed here. A cell that its field cannot
hold raises ValueError, which becomes a BadCell: it is never rounded, cut or guessed, since it would be
billed.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from schemas.limits import MAX_NAME, MAX_TOKENS
from schemas.quantities import TOKEN_KINDS, QuantityError, format_quantity, parse_quantity
from tools.importer.columns import quantity_problem, trimmed
from tools.importer.row_keys import UNDONE
from tools.importer.timestamps import SHORTENED, Times

WHOLE = re.compile(r"-?[0-9]{1,20}", re.ASCII)
has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
KEPT = 4096


class BadCell(ValueError):
    """Error: a cell that cannot be imported: ``column`` ('' for the whole row) and the reason."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.reason = reason


class Cells(Protocol):
    """Reader of one file format's cells. ``named``: its rows keep cells by name, not in a list."""

    named: bool

    def text(self, cell: Any) -> str:
        """Return the text. Raises ValueError if the cell is not text."""
        ...

    def id(self, cell: Any) -> str:
        """Return the text, or a whole number as written. Raises ValueError."""
        ...

    def whole(self, cell: Any) -> int:
        """Return the whole number. Raises ValueError if it is not one."""
        ...

    def quantity(self, cell: Any) -> str:
        """Return a quantity as canonical text. Raises ValueError if the cell is not one, exactly."""
        ...

    def quantities(self, cell: Any) -> dict[str, str]:
        """Return the quantities of an object by name, as canonical text. Raises ValueError."""
        ...

    def moment(self, cell: Any, times: Times) -> int:
        """Return UTC milliseconds. Raises ValueError if the cell is not a time."""
        ...

    def json(self, cell: Any) -> Any:
        """Return the cell as a value for metadata, its digits unchanged. Raises ValueError."""
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

    def quantity(self, cell: str) -> str:
        return quantity(cell)

    def quantities(self, cell: str) -> dict[str, str]:
        return quantities_of_json(cell)

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

    def quantity(self, cell: msgspec.Raw) -> str:
        text = bytes(cell).decode()
        return quantity(self.text(cell).strip() if text.startswith('"') else text)

    def quantities(self, cell: msgspec.Raw) -> dict[str, str]:
        return quantities_of_json(bytes(cell).decode())

    def moment(self, cell: msgspec.Raw, times: Times) -> int:
        text = bytes(cell).decode()
        return times.read(self.text(cell).strip() if text.startswith('"') else text)

    def json(self, cell: msgspec.Raw) -> Any:
        return cell


def _shown(cell: msgspec.Raw) -> str:
    text = bytes(cell).decode()
    return text if len(text) <= 40 else text[:40] + "…"


def whole(text: str) -> int:
    """Return a token count: 0 to 10^12. Raises ValueError for anything else, such as 2400.0."""
    if len(text) <= 12 and text.isdigit() and text.isascii():
        return int(text)
    if not WHOLE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not an integer")
    number = int(text)
    if not 0 <= number <= MAX_TOKENS:
        raise ValueError(f"must be from 0 to {MAX_TOKENS}, not {number}")
    return number


def quantity(text: str) -> str:
    """Return the canonical text of a quantity: 0 to 10^12 with at most 6 decimals. Raises ValueError for anything else,
    such as 1e3."""
    try:
        return format_quantity(parse_quantity(text))
    except QuantityError as error:
        raise ValueError(f"{text[:40]!r} {error}") from None


class _Members(list[tuple[str, Any]]):
    """Members of a JSON object in order, repeated names included."""


def quantities_of_json(text: str) -> dict[str, str]:
    """Return the quantities of a JSON object by name. Raises ValueError."""
    try:
        # numbers keep their text
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_Members)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, _Members):
        raise ValueError(f"{text[:40]!r} is not an object of quantities")
    return quantities(found, _quantity_of_member)


def quantities(members: Iterable[tuple[str, Any]], read: Callable[[Any], str]) -> dict[str, str]:
    """Return the quantities of an object's members by name; null ones are absent. Raises ValueError naming the
    member."""
    found: dict[str, str] = {}
    for name, cell in members:
        problem = quantity_problem(name)
        if problem is not None:
            raise ValueError(f"{name[:40]!r}: {problem}")
        if cell is None:
            continue
        if name in found:
            raise ValueError(f"has {name} twice")
        try:
            found[name] = read(cell)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if name in TOKEN_KINDS and "." in found[name]:
            raise ValueError(f"{name}: {found[name]!r} must be an integer")
    return found


def _quantity_of_member(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a number")
    return quantity(value.strip())


def name(text: str) -> str:
    """Return the trimmed name: 1 to 256 characters, no control characters. Raises ValueError for anything else."""
    text = trimmed(text)
    if not 1 <= len(text) <= MAX_NAME:
        raise ValueError(f"must have 1 to {MAX_NAME} characters")
    if has_control(text):
        raise ValueError("must not contain control characters")
    return text


class NameColumns(dict[str, str]):
    """Cache in which ``names[text]`` is `name(text)`. It keeps recent texts, since agents, actions and
    models repeat."""

    def __missing__(self, text: str) -> str:
        if len(self) >= KEPT:
            self.clear()
        made = self[text] = name(text)
        return made


class IntegerColumns(dict[str, int]):
    """Cache in which ``wholes[text]`` is `whole(text)`. It keeps short numbers."""

    def __missing__(self, text: str) -> int:
        made = whole(text)
        if len(text) <= 4:
            self[text] = made
        return made


def customer(text: str) -> str:
    """Return an id that a customer can have. Raises ValueError."""
    text = name(text)
    if text == "*" or text.startswith("_"):
        raise ValueError(f"{text[:40]!r} is reserved: a customer id must not be '*' or begin with '_'")
    return text


def own_key(text: str) -> str:
    """Return an idempotency key from the file. Raises ValueError."""
    if SHORTENED.fullmatch(text):
        raise ValueError(f"{text!r} is not an id: a spreadsheet has shortened it")
    text = name(text)
    if UNDONE.search(text):
        raise ValueError(
            f"{text[:40]!r} must not end in #undo and a number: rev import adds it to rows that were undone"
        )
    return text
