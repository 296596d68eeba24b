"""Opaque cursors of lists: the position of the next page, as text that only Rev reads.

A cursor names its list, so that a cursor of another list is refused instead of misread.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence


class BadCursor(ValueError):
    """A text that is not a cursor of this list."""


def encode(kind: str, *position: int) -> str:
    """Return a cursor of the list ``kind`` for the place after ``position``."""
    return _text([kind, *map(str, position)])


def decode(kind: str, text: str, length: int) -> tuple[int, ...]:
    """Return the position in a cursor. Raises BadCursor for anything that :func:`encode` did not make."""
    try:
        found, *numbers = _parts(text)
        position = tuple(int(number) for number in numbers if number.isdecimal() and len(number) < 20)
    except (binascii.Error, ValueError) as error:
        raise BadCursor(text) from error
    if found != kind or len(position) != length or encode(kind, *position) != text:
        raise BadCursor(text)
    return position


def encode_named(kind: str, at: int, name: str) -> str:
    """Return a cursor of a list that is ordered by time and by a name without colons."""
    return _text([kind, str(at), name])


def decode_named(kind: str, text: str) -> tuple[int, str]:
    """Return the position in a cursor. Raises BadCursor for anything that :func:`encode_named` did not make."""
    try:
        found, at, name = _parts(text)
        position = int(at) if at.isdecimal() and len(at) < 14 else -1
    except (binascii.Error, ValueError) as error:
        raise BadCursor(text) from error
    if found != kind or position < 0 or encode_named(kind, position, name) != text:
        raise BadCursor(text)
    return position, name


def _text(parts: Sequence[str]) -> str:
    return urlsafe_b64encode(":".join(parts).encode()).decode().rstrip("=")


def _parts(text: str) -> list[str]:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(":")
