"""One call from its first try to its result: what is sent, when again, and when no more. Pure.

`exchange` is a generator that the clients drive: it yields a Send and is sent what came of it, an
Answer or a Failure. Clock, randomness and keys are passed in; nothing here waits or connects.

What is tried again: no answer, 429 and 5xx, as long as a repeat cannot do a thing twice. A call
with an Idempotency-Key, which is the same at every try, never can. One that is protected by
nothing is repeated only when Rev certainly did not do it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar, Union

from .calls import Call
from .errors import NoAnswerError
from .reading import Answer, read, refusal

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between tries: doubled each time, the half of it by chance."""
NOT_DONE = "not_recorded"
"""The code of a 503 that says that nothing was done."""


class Send(NamedTuple):
    """One try. ``path`` holds the query. ``timeout``: seconds without a byte before it is given
    up. ``after``: seconds to wait before it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    after: float = 0.0


class Failure(NamedTuple):
    """A try that got no answer. ``sent``: the request may have reached Rev. ``final``: no other
    try would fare better."""

    error: Exception
    sent: bool
    final: bool = False


Came = Union[Answer, Failure]
"""What came of a try."""


@dataclass(frozen=True)
class Settings:
    """``timeout``: seconds of one try. ``retry_for``: seconds after its begin in which a call may
    be tried again. ``headers``: those of every request."""

    headers: Mapping[str, str]
    timeout: float
    retry_for: float
    clock: Callable[[], float]
    rng: random.Random
    new_key: Callable[[], str]


def exchange(call: Call[T], settings: Settings) -> Generator[Send, Came, T]:
    """The tries of a call, and its result. Raises RevError."""
    key = (call.key or settings.new_key()) if call.keyed else None
    send = Send(call.method, call.path, _headers(call, settings, key), call.body, settings.timeout)
    began, tries, unsure = settings.clock(), 0, False
    while True:
        came = yield send
        if isinstance(came, Answer) and 200 <= came.status < 300:
            return read(call.kind, came, key)
        if isinstance(came, Answer) and came.status == 404 and unsure and call.gone is not None:
            return call.gone
        after = retry_after(came) + backoff(tries, settings.rng.random())
        if not may_repeat(call, came) or settings.clock() - began + after > settings.retry_for:
            break
        unsure = unsure or isinstance(came, Answer) or came.sent
        send, tries = send._replace(after=after), tries + 1
    if isinstance(came, Answer):
        raise refusal(came, key)
    reason = f"{type(came.error).__name__}: {came.error}"
    raise NoAnswerError(f"no answer to {call.method} {call.path}: {reason}", idempotency_key=key) from came.error


def may_repeat(call: Call[T], came: Came) -> bool:
    """Whether another try may help and can do no harm."""
    harmless = call.keyed or call.safe
    if isinstance(came, Failure):
        return not came.final and (harmless or not came.sent)
    if came.status == 429:
        return True
    return came.status >= 500 and (harmless or refusal(came).code == NOT_DONE)


def backoff(tries: int, chance: float) -> float:
    """Seconds before the next try after ``tries`` + 1 of them; ``chance`` from 0 to 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 30)) * (0.5 + chance / 2)


def retry_after(came: Came) -> float:
    """Seconds that an answer asks us to wait; 0 when it does not, or not so that we understand."""
    if isinstance(came, Failure):
        return 0.0
    text = came.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        # a date counts from the answer's own, so that our clock does not matter
        ahead = parsedate_to_datetime(text) - parsedate_to_datetime(came.headers.get("date", ""))
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, ahead.total_seconds())


def _headers(call: Call[T], settings: Settings, key: str | None) -> dict[str, str]:
    headers = dict(settings.headers)
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    if call.respond_async:
        headers["Prefer"] = "respond-async"
    return headers
