"""When a delivery is tried again: exact times, by a clock that is passed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.retry_policy import DAY, HOLD, JITTER, LONGEST, TRIES, WAITS, decide_retry
from notifier.sender import WebhookResponse

ENDED = 1_700_000_000_000
SECOND = 1000


def test_the_schedule_is_the_contracts() -> None:
    """1 s, 5 s and 25 s after the previous try ended, then 5 min, 30 min, 2 h, 5 h, 10 h, 10 h; then dead."""
    found = [decide_retry(tries, WebhookResponse(500), ENDED, 0.0, None).next_at for tries in range(1, 11)]
    minutes = [5, 30, 120, 300, 600, 600]
    waits = [1 * SECOND, 5 * SECOND, 25 * SECOND, *(each * 60 * SECOND for each in minutes)]
    assert found == [*(ENDED + wait for wait in waits), None]
    assert decide_retry(TRIES, WebhookResponse(500), ENDED, 0.0, None).outcome == "dead"


@given(st.integers(1, TRIES - 1), st.floats(0, 1, exclude_max=True))
def test_jitter_only_lengthens(tries: int, jitter: float) -> None:
    """A wait is never shorter than the schedule says, and at most a tenth longer."""
    due = decide_retry(tries, WebhookResponse(None, "timeout"), ENDED, jitter, None).next_at
    wait = WAITS[tries - 1]
    assert due is not None and wait <= due - ENDED <= wait * (1 + JITTER)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    """Any 2xx ends a delivery."""
    assert decide_retry(1, WebhookResponse(status), ENDED, 0.5, None).outcome == "delivered"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 451])
def test_other_4xx_are_not_tried_again(status: int) -> None:
    """The other side does not want it: dead at once."""
    found = decide_retry(1, WebhookResponse(status), ENDED, 0.5, None)
    assert (found.outcome, found.next_at, found.disable) == ("dead", None, None)
    assert str(status) in (found.error or "")


@pytest.mark.parametrize("status", [100, 301, 302, 308, 408, 429, 500, 502, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    """A redirect is not followed, and like time-outs, too many requests and server errors it may pass."""
    assert decide_retry(1, WebhookResponse(status), ENDED, 0.0, None).next_at == ENDED + SECOND


def test_a_refused_address_is_final() -> None:
    """What the sender can never reach is not tried again."""
    found = decide_retry(1, WebhookResponse(None, "refused: private address", final=True), ENDED, 0.0, None)
    assert (found.outcome, found.error) == ("dead", "refused: private address")


def test_410_gives_the_endpoint_up() -> None:
    """Gone: this delivery is dead, and the endpoint is to be disabled."""
    found = decide_retry(1, WebhookResponse(410), ENDED, 0.0, None)
    assert found.outcome == "dead" and found.disable is not None


@pytest.mark.parametrize("status", [401, 403])
def test_unauthorized_is_tried_again_for_a_day_after_a_rotation(status: int) -> None:
    """The receiver may not have the new secret yet."""
    rotated = ENDED - DAY
    assert decide_retry(1, WebhookResponse(status), ENDED - 1, 0.0, rotated).next_at == ENDED - 1 + SECOND
    assert decide_retry(1, WebhookResponse(status), ENDED, 0.0, rotated).outcome == "dead"
    assert decide_retry(1, WebhookResponse(404), ENDED - 1, 0.0, rotated).outcome == "dead"


@pytest.mark.parametrize(
    ("asked", "wait"), [(0.2, SECOND), (7, 7 * SECOND), (10**9, LONGEST)], ids=["shorter", "longer", "far too long"]
)
def test_retry_after_is_honoured_within_bounds(asked: float, wait: int) -> None:
    """Never earlier than asked for, never earlier than the schedule, never later than ten hours."""
    found = decide_retry(1, WebhookResponse(429, retry_after_s=asked), ENDED, 0.0, None)
    assert found.next_at == ENDED + wait
    assert found.hold == ENDED + min(HOLD, int(asked * SECOND))
