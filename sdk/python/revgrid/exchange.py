"""One call from its first try to its result: what is sent, when it is retried, when it fails. Pure.

`exchange` is a generator that the clients drive: it yields a Send and receives the result, an
Answer or a Failure. Clock, randomness and keys are passed in; nothing here waits or connects.

It retries after no answer, 429 and 5xx, as long as a repeat cannot do a thing twice. A call
with an Idempotency-Key, which is the same at every try, never can. A call without any protection
is repeated only if Rev certainly did not do it.
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
"""Seconds between tries: doubled each time, half of it random."""
NOT_DONE = "not_recorded"
"""Code of a 503 that says that nothing was done."""


class Send(NamedTuple):
    """One try.

    ``path`` includes the query. ``timeout``: seconds without a byte before it is given up. ``after``:
    seconds to wait before it.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    after: float = 0.0


class Failure(NamedTuple):
    """A try without an answer.

    ``sent``: the request may have reached Rev. ``final``: another try would not help.
    """

    error: Exception
    sent: bool
    final: bool = False


Came = Union[Answer, Failure]
"""Result of a try."""


@dataclass(frozen=True)
class Settings:
    """Settings of a client.

    ``timeout``: seconds of one try. ``retry_for``: seconds after its start within which a call may be
    retried. ``headers``: sent with every request.
    """

    headers: Mapping[str, str]
    timeout: float
    retry_for: float
    clock: Callable[[], float]
    rng: random.Random
    new_key: Callable[[], str]


def exchange(call: Call[T], settings: Settings) -> Generator[Send, Came, T]:
    """Yield the tries of a call; return its result. Raises RevError."""
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
    raise NoAnswerError(f"no response to {call.method} {call.path}: {reason}", idempotency_key=key) from came.error


def may_repeat(call: Call[T], came: Came) -> bool:
    """True if another try may help and can do no harm."""
    harmless = call.keyed or call.safe
    if isinstance(came, Failure):
        return not came.final and (harmless or not came.sent)
    if came.status == 429:
        return True
    return came.status >= 500 and (harmless or refusal(came).code == NOT_DONE)


def backoff(tries: int, chance: float) -> float:
    """Return the seconds before the next try after ``tries`` + 1 tries; ``chance`` from 0 to 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 30)) * (0.5 + chance / 2)


def retry_after(came: Came) -> float:
    """Return the seconds that an answer asks to wait; 0 if it does not, or not in a form that we understand."""
    if isinstance(came, Failure):
        return 0.0
    text = came.headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        # relative to the answer's own date, so that our clock does not matter
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
