"""Opaque cursors of lists: where the next page begins, as text that only Rev reads.

A cursor names its list, so that one of another list is refused instead of misread.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode


class BadCursor(ValueError):
    """Text that no list handed out as a cursor."""


def encode(kind: str, *position: int) -> str:
    """A cursor of the list ``kind`` for the place after ``position``."""
    return urlsafe_b64encode(":".join([kind, *map(str, position)]).encode()).decode().rstrip("=")


def decode(kind: str, text: str, length: int) -> tuple[int, ...]:
    """The position in a cursor. Raises BadCursor for anything :func:`encode` did not make."""
    try:
        found, *numbers = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(":")
        position = tuple(int(number) for number in numbers if number.isdecimal() and len(number) < 20)
    except (binascii.Error, ValueError) as error:
        raise BadCursor(text) from error
    if found != kind or len(position) != length or encode(kind, *position) != text:
        raise BadCursor(text)
    return position
