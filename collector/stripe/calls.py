"""A request of Stripe's API, and what can become of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from collector.stripe.requests import StripeRequest

Call = Callable[[StripeRequest], Awaitable[dict[str, Any]]]
"""Sends a request and returns what Stripe answers. Raises StripeAway or StripeRefuses."""

MAX_ERROR = 500
"""Characters of an error that are kept."""


class StripeAway(Exception):
    """Stripe did not answer, or asks to try again. ``after``: ms until then, if it says so.

    ``decided``: it answered an error of its own, which it repeats for the same idempotency key.
    """

    def __init__(self, error: str, after: int = 0, decided: bool = False) -> None:
        super().__init__(error)
        self.after = after
        self.decided = decided


class StripeRefuses(Exception):
    """Stripe refuses a request, or has something else than Rev; the message says what to do.

    ``missing``: it does not have the object that was named. ``duplicate``: it has this meter event already.
    ``denied``: the key or the session may not do this. ``in_doubt``: whether it has what was sent is not known.
    """

    def __init__(
        self,
        error: str,
        missing: bool = False,
        duplicate: bool = False,
        denied: bool = False,
        in_doubt: bool = False,
    ) -> None:
        super().__init__(error)
        self.missing = missing
        self.duplicate = duplicate
        self.denied = denied
        self.in_doubt = in_doubt


async def listed(call: Call, request: StripeRequest) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of all pages of a list."""
    while True:
        page = await call(request)
        for one in page["data"]:
            yield one
        if not page["has_more"]:
            return
        request = request._replace(params={**request.params, "starting_after": page["data"][-1]["id"]})
