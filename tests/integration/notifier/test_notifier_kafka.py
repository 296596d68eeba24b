"""The notifier over a real log: what is delivered, what is written down, and what survives."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.notifier.site import Site

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]


async def test_events_of_the_owner_are_delivered(
    site: Site, running: Callable[..., Any], customer: str, eventually: Eventually
) -> None:
    """Each event of a customer is sent once to its endpoint, and nobody else's is."""
    await site.hook(1, customer, "https://a.example")
    notifier = await running()
    ids = await site.meter(customer, 3, each=2)
    await site.meter(f"{customer}-other")
    await eventually(lambda: len(notifier.received()) >= 6)
    assert notifier.received() == dict.fromkeys(ids, 1)

    async def written() -> bool:
        attempts, _ = await site.deliveries()
        return {a.event_id for a in attempts if a.outcome == "delivered" and a.customer_id == customer} == set(ids)

    await eventually(written)
    assert await site.left() == {}
