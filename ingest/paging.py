"""Pages of the lists in the configuration view: newest first, with an opaque cursor. Pure.

A cursor is the sort key of the last item shown, so an item that is added or removed between two
pages neither repeats nor hides another.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import msgspec

from ingest.problems import Invalid
from schemas.limits import DEFAULT_LIST, MAX_LIST

QUERY = {
    "limit": f"Maximum number of items, 1 to {MAX_LIST}; {DEFAULT_LIST} by default.",
    "cursor": "next_cursor of the previous page.",
}

Item = TypeVar("Item")
Rank = tuple[int, str]
"""Sort key, newest last: a number that grows, then a name."""

_rank = msgspec.json.Decoder(Rank).decode


def page(
    items: Iterable[Item], rank: Callable[[Item], Rank], query: Mapping[str, str]
) -> tuple[list[Item], str | None]:
    """Return one page and the cursor of the next. Raises Invalid for a bad limit or cursor."""
    limit, before = _limit(query.get("limit")), _decode(query.get("cursor"))
    ordered = sorted((item for item in items if before is None or rank(item) < before), key=rank, reverse=True)
    shown = ordered[:limit]
    return shown, _encode(rank(shown[-1])) if len(ordered) > limit else None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIST
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MAX_LIST:
        raise Invalid(f"limit must be an integer from 1 to {MAX_LIST}")
    return int(text)


def _encode(rank: Rank) -> str:
    return urlsafe_b64encode(msgspec.json.encode(rank)).decode().rstrip("=")


def _decode(cursor: str | None) -> Rank | None:
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        rank: Rank = _rank(text)
        return rank
    except (ValueError, binascii.Error) as error:
        raise Invalid("cursor must be a next_cursor that this list returned") from error
