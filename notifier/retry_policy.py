"""Decides when a delivery is retried and when it is given up. Pure: clock and randomness are passed in.

Times are milliseconds.
"""

from typing import NamedTuple

from notifier.sender import WebhookResponse
from schemas.deliveries import Outcome
from schemas.limits import DAY, HOUR, MINUTE

WAITS = (1_000, 5_000, 25_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR)
"""Waits before the second attempt, the third, and so on, each from the end of the attempt before."""
TRIES = len(WAITS) + 1
JITTER = 0.1
"""Largest fraction by which a wait is lengthened, so that deliveries that failed together are not retried
together; a wait is never shortened."""
LONGEST = 10 * HOUR
"""Longest time that a Retry-After may hold back one delivery."""
HOLD = HOUR
"""Longest time that a Retry-After may hold back a whole endpoint."""
ROTATION = DAY
"""Time after a rotation during which 401 and 403 may mean that the receiver does not know the secret yet."""
GONE = 410


class RetryDecision(NamedTuple):
    """Consequence of an attempt. ``next_at``: time of the next attempt. ``disable``: why the whole endpoint
    is disabled. ``hold``: time until which nothing is sent to it."""

    outcome: Outcome
    next_at: int | None = None
    error: str | None = None
    disable: str | None = None
    hold: int | None = None


def decide_retry(tries: int, answer: WebhookResponse, now: int, jitter: float, rotated_at: int | None) -> RetryDecision:
    """Decide what follows an attempt. ``tries``: number of attempts made, this one included. ``jitter``: in
    [0, 1). ``now``: when the attempt ended."""
    status = answer.status
    if status is not None and 200 <= status < 300:
        return RetryDecision("delivered")
    if status == GONE:
        return RetryDecision("dead", error="status 410: the endpoint is gone", disable="the endpoint answered 410 Gone")
    if answer.final:
        return RetryDecision("dead", error=answer.error or "refused")
    if status is not None and is_refusal(status) and not in_rotation(status, now, rotated_at):
        return RetryDecision("dead", error=f"status {status}: not retried")
    hold = None if answer.retry_after_s is None else now + min(HOLD, int(answer.retry_after_s * 1000))
    if tries >= TRIES:
        return RetryDecision("dead", error=f"{reason(answer)}; given up after {tries} attempts", hold=hold)
    asked = 0 if answer.retry_after_s is None else min(LONGEST, int(answer.retry_after_s * 1000))
    wait = max(WAITS[tries - 1], asked)
    return RetryDecision("retry", now + wait + int(wait * JITTER * jitter), reason(answer), hold=hold)


def is_refusal(status: int) -> bool:
    """True if the status means that the request must never be sent again."""
    return 400 <= status < 500 and status not in (408, 429)


def in_rotation(status: int, now: int, rotated_at: int | None) -> bool:
    return status in (401, 403) and rotated_at is not None and now - rotated_at < ROTATION


def reason(answer: WebhookResponse) -> str:
    return answer.error or f"status {answer.status}"
