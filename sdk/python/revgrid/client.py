"""`Rev` and `AsyncRev`: the calls of calls.py, run on threads or on the event loop.

calls.py defines each method once, with its parameters and documentation; this module adds it to
both clients with its types. The async client sends from threads of its own, so there is one
implementation of HTTP; its pauses are awaited and take no thread.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from . import calls
from .calls import Call
from .exchange import Came, Send, Settings, exchange
from .transport import HttpTransport
from .version import __version__
from .webhooks import WebhookVerifier

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec, Self

    P = ParamSpec("P")

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8080"


def _sync(build: Callable[P, Call[T]]) -> Callable[Concatenate[Rev, P], T]:
    """Return a method of Rev that makes this call."""

    def method(self: Rev, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(build(*args, **kwargs))

    return _described(method, build)


def _async(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncRev, P], Coroutine[Any, Any, T]]:
    """Return a coroutine method of AsyncRev that makes this call."""

    async def method(self: AsyncRev, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(build(*args, **kwargs))

    return _described(method, build)


def _described(method: Callable[..., Any], build: Callable[..., Any]) -> Callable[..., Any]:
    """Give the method the name, docstring and parameters of what it calls, for help() and editors."""
    functools.update_wrapper(method, build)
    del method.__wrapped__  # type: ignore[attr-defined]  # its signature lacks self
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    shown = inspect.signature(build)
    answer = str(shown.return_annotation)[len("Call[") : -1]
    method.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[itself, *shown.parameters.values()], return_annotation=answer
    )
    return method


class _Base:
    """Base of both clients."""

    def __init__(
        self,
        api_key: str | None,
        base_url: str | None,
        timeout: float,
        retry_for: float,
        *,
        clock: Callable[[], float],
        rng: random.Random | None,
        new_key: Callable[[], str],
    ) -> None:
        api_key = api_key or os.environ.get("REVGRID_API_KEY")
        if not api_key:
            raise ValueError("api_key is required; pass it, or set REVGRID_API_KEY")
        if not (api_key.isascii() and api_key.isprintable() and " " not in api_key):
            raise ValueError("api_key must contain only visible ASCII characters")
        self.base_url = (base_url or os.environ.get("REV_URL") or DEFAULT_URL).rstrip("/")
        headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "User-Agent": f"revgrid-python/{__version__}",
        }
        self._settings = Settings(headers, timeout, retry_for, clock, rng or random.Random(), new_key)

    def webhook_verifier(self, secret: str) -> WebhookVerifier:
        """Return a verifier of signatures made with an endpoint's secret; it needs no connection."""
        return WebhookVerifier(secret)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"


def _new_key() -> str:
    return str(uuid.uuid4())


class Rev(_Base):
    """The client; many threads may share one.

    ``api_key`` and ``base_url`` default to the environment's REVGRID_API_KEY and REV_URL.
    ``timeout``: seconds without a byte before a try is given up. ``retry_for``: seconds after the
    start of a call within which it may be retried; 0: never. The rest is for tests.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float = 10.0,
        retry_for: float = 30.0,
        transport: Callable[[Send], Came] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        super().__init__(api_key, base_url, timeout, retry_for, clock=clock, rng=rng, new_key=new_key)
        self._http = HttpTransport(self.base_url)
        self._transport = transport or self._http
        self._sleep = sleep

    meter = _sync(calls.meter)
    meter_batch = _sync(calls.meter_batch)
    event = _sync(calls.event)
    usage = _sync(calls.usage)
    pricing = _sync(calls.pricing)
    budgets = _sync(calls.budgets)
    balance = _sync(calls.balance)
    statement = _sync(calls.statement)
    invoices = _sync(calls.invoices)
    invoice = _sync(calls.invoice)
    reserve = _sync(calls.reserve)
    release = _sync(calls.release)
    reservation = _sync(calls.reservation)
    reservations = _sync(calls.reservations)
    register_outcome = _sync(calls.register_outcome)
    resolve_outcome = _sync(calls.resolve_outcome)
    outcome = _sync(calls.outcome)
    create_webhook = _sync(calls.create_webhook)
    webhooks = _sync(calls.webhooks)
    delete_webhook = _sync(calls.delete_webhook)

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: Call[T]) -> T:
        tries = exchange(call, self._settings)
        send = next(tries)
        try:
            while True:
                if send.after:
                    self._sleep(send.after)
                send = tries.send(self._transport(send))
        except StopIteration as end:
            result: T = end.value
            return result


class AsyncRev(_Base):
    """The client for asyncio: `Rev` with coroutines.

    ``in_flight``: maximum number of concurrent requests, each on a thread of its own; more wait.
    A cancelled call may have reached Rev: repeat it with its own idempotency_key.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float = 10.0,
        retry_for: float = 30.0,
        in_flight: int = 32,
        transport: Callable[[Send], Came] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        super().__init__(api_key, base_url, timeout, retry_for, clock=clock, rng=rng, new_key=new_key)
        self._http = HttpTransport(self.base_url)
        self._transport = transport or self._http
        self._sleep = sleep
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="revgrid")

    meter = _async(calls.meter)
    meter_batch = _async(calls.meter_batch)
    event = _async(calls.event)
    usage = _async(calls.usage)
    pricing = _async(calls.pricing)
    budgets = _async(calls.budgets)
    balance = _async(calls.balance)
    statement = _async(calls.statement)
    invoices = _async(calls.invoices)
    invoice = _async(calls.invoice)
    reserve = _async(calls.reserve)
    release = _async(calls.release)
    reservation = _async(calls.reservation)
    reservations = _async(calls.reservations)
    register_outcome = _async(calls.register_outcome)
    resolve_outcome = _async(calls.resolve_outcome)
    outcome = _async(calls.outcome)
    create_webhook = _async(calls.create_webhook)
    webhooks = _async(calls.webhooks)
    delete_webhook = _async(calls.delete_webhook)

    async def aclose(self) -> None:
        """End the threads and close the kept connections; a request in flight ends by itself."""
        self._threads.shutdown(wait=False)
        self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _run(self, call: Call[T]) -> T:
        loop = asyncio.get_running_loop()
        tries = exchange(call, self._settings)
        send = next(tries)
        try:
            while True:
                if send.after:
                    await self._sleep(send.after)
                send = tries.send(await loop.run_in_executor(self._threads, self._transport, send))
        except StopIteration as end:
            result: T = end.value
            return result
