"""API keys as pages show them, from the API's JSON. Pure; times in ms."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from web.exact_json import ms_of, ms_or_none

PLATFORM = "*"


class KeyLine(NamedTuple):
    """A key, masked. ``used``: when it last metered something that the ledger has; None for never."""

    id: int
    mask: str
    customer_id: str
    customer: str
    is_active: bool
    test: bool
    created: int
    used: int | None

    @property
    def is_platform(self) -> bool:
        """True for a key that acts for every customer."""
        return self.customer_id == PLATFORM


def key_lines(keys: Iterable[Mapping[str, Any]]) -> list[KeyLine]:
    """Return the rows of GET /api/admin/api-keys."""
    return [key_line(key) for key in keys]


def key_line(key: Mapping[str, Any]) -> KeyLine:
    """Return one key; one that was just made was never used."""
    return KeyLine(
        id=key["id"],
        mask=key["api_key_masked"],
        customer_id=key["customer_id"],
        customer=key["customer_name"] or key["customer_id"],
        is_active=key["is_active"],
        test=key["test"],
        created=ms_of(key["created_at"]),
        used=ms_or_none(key.get("last_used_at")),
    )
