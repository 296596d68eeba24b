"""The prices of one slot by the time from which each is in force. Pure."""

from collections.abc import Sequence

from schemas.config import Price

MAX_SCHEDULED = 24
"""Maximum prices that one slot may have scheduled."""


def by_start(price: Price) -> tuple[int, int]:
    """Sort key: the prices of a slot in the order in which they come into force."""
    return price.start, price.number


def in_force(versions: Sequence[Price], at: int) -> Price | None:
    """Return the last price that has started at an accepted time; ``versions`` are sorted by start."""
    if len(versions) == 1 and versions[0].effective_at is None:
        return versions[0]  # so that no gateway's clock matters where nothing is scheduled
    return next((price for price in reversed(versions) if price.effective_at is None or price.effective_at <= at), None)
