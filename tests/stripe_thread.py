"""Stripe's stand-in beside a `rev up`, in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.stripe_stand_in import Fault, StripeStandIn


@contextmanager
def served_stripe(faults: Iterable[Fault] = ()) -> Iterator[StripeStandIn]:
    """Serve a stand-in while the block runs. What it holds may be read at any time."""
    stand_in = StripeStandIn(faults, now=lambda: time.time_ns() // 1_000_000)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stripe")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(stand_in.start(), loop).result(10)
        yield stand_in
    finally:
        asyncio.run_coroutine_threadsafe(stand_in.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
