"""When revgrid tries again, with which key, after which pause, and when it gives up."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import revgrid
from revgrid import calls
from revgrid.exchange import FIRST_PAUSE, LONGEST_PAUSE, Came, backoff, retry_after
from tests.unit.sdk.scripted import BROKEN, DISTRUSTED, METERED, NEVER_THERE, Wire, answer, refused

OUTCOME = {"task_id": "t", "outcome_id": "oc_1", "status": "pending"}
BATCH = {"results": [{"event_id": 1, "total_cents": 1}], "total_cents": 1, "currency": "usd"}
WEBHOOK = {
    "id": 1,
    "customer_id": "a",
    "url": "https://x.example",
    "events": ["*"],
    "active": True,
    "secret": "whsec_AA==",
    "created_at": "2026-04-26T12:00:00.000Z",
}
MAKE: dict[str, Any] = {
    "meter": lambda **key: calls.meter(agent_id="a", action="chat", **key),
    "batch": lambda **key: calls.meter_batch([{"agent_id": "a", "action": "chat"}], **key),
    "register": lambda **key: calls.register_outcome(
        task_id="t", agent_id="a", price_on_success=1, expires_at="2090-01-01T00:00:00Z", **key
    ),
    "resolve": lambda **key: calls.resolve_outcome("t", success=True, **key),
}
ANSWER = {"meter": METERED, "batch": BATCH, "register": OUTCOME, "resolve": OUTCOME}
WRITES = pytest.mark.parametrize("write", MAKE)
UNSETTLED: list[Came] = [BROKEN, NEVER_THERE, refused(503, "unknown"), *map(refused, (429, 500, 502, 504))]


@WRITES
def test_every_write_has_one_key_over_all_its_tries(write: str) -> None:
    """A key is made once for a call that has none, and the same request is sent until it is answered."""
    wire = Wire(*UNSETTLED, answer(201, ANSWER[write]))
    wire.run(MAKE[write]())
    assert wire.sent_keys == ["made-1"] * (len(UNSETTLED) + 1) and wire.keys == 1
    assert len({(send.method, send.path, send.body) for send in wire.sent}) == 1


@WRITES
def test_a_key_of_the_callers_own_is_taken(write: str) -> None:
    """No key is made then, and the errors tell which key it was."""
    wire = Wire(refused(503, "unknown"))
    with pytest.raises(revgrid.UnavailableError) as raised:
        wire.run(MAKE[write](idempotency_key="mine"))
    assert set(wire.sent_keys) == {"mine"} and wire.keys == 0 and len(wire.sent) > 1
    assert raised.value.idempotency_key == "mine"


def test_two_calls_have_two_keys() -> None:
    """The same event metered twice on purpose is two events."""
    wire = Wire(answer(201, METERED))
    wire.run(MAKE["meter"]())
    wire.run(MAKE["meter"]())
    assert wire.sent_keys == ["made-1", "made-2"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 302])
@WRITES
def test_a_refusal_is_final(write: str, status: int) -> None:
    """What repeating cannot change is sent once."""
    wire = Wire(refused(status))
    with pytest.raises(revgrid.RefusedError) as raised:
        wire.run(MAKE[write]())
    assert len(wire.sent) == 1 and raised.value.status == status


def test_reads_are_repeated_without_a_key() -> None:
    """GET is harmless by itself."""
    wire = Wire(BROKEN, refused(503, "reads_unavailable"), answer(200, {"customer_id": "a", "configs": []}))
    assert wire.run(calls.pricing()).customer_id == "a"
    assert wire.sent_keys == [None] * 3


@pytest.mark.parametrize("came", [BROKEN, refused(500), refused(503, "unknown"), answer(502, b"<html>")])
def test_an_endpoint_is_never_made_twice(came: Came) -> None:
    """No key protects create_webhook, so it is not repeated when the first may have been done."""
    wire = Wire(came)
    with pytest.raises(revgrid.RevError):
        wire.run(calls.create_webhook(url="https://x.example", events=["*"]))
    assert len(wire.sent) == 1


def test_an_endpoint_is_asked_for_again_when_nothing_was_done() -> None:
    """Never connected, shed, or not recorded: these are safe to repeat."""
    wire = Wire(NEVER_THERE, refused(429), refused(503, "not_recorded"), answer(201, WEBHOOK))
    made = wire.run(calls.create_webhook(url="https://x.example", events=["*"]))
    assert made.secret == "whsec_AA==" and len(wire.sent) == 4 and "whsec" not in repr(made)


def test_a_deletion_whose_answer_was_lost_has_succeeded() -> None:
    """The repeat finds nothing, as it should; a first try that finds nothing is an error."""
    assert Wire(BROKEN, refused(404)).run(calls.delete_webhook(7)) == revgrid.Deleted(True, 7)
    for first in ([], [NEVER_THERE]):
        with pytest.raises(revgrid.NotFoundError):
            Wire(*first, refused(404)).run(calls.delete_webhook(7))


def test_a_certificate_that_is_refused_is_told_at_once() -> None:
    """No other try would fare better."""
    wire = Wire(DISTRUSTED)
    with pytest.raises(revgrid.NoAnswerError) as raised:
        wire.run(MAKE["meter"]())
    assert len(wire.sent) == 1 and raised.value.__cause__ is DISTRUSTED.error


@given(
    st.lists(st.sampled_from(UNSETTLED), min_size=1, max_size=40),
    st.floats(0, 60),
    st.floats(0, 15),
)
def test_no_try_begins_after_the_limit(script: list[Came], retry_for: float, takes: float) -> None:
    """Whatever comes and however long it takes, the last try begins within ``retry_for`` of the
    first, each pause is positive, and one key is used."""
    wire = Wire(*script, takes=takes)
    with pytest.raises(revgrid.RevError):
        wire.run(MAKE["meter"](), retry_for)
    began = sum(wire.pauses) + takes * len(wire.pauses)
    assert began <= retry_for + 1e-6 and all(pause > 0 for pause in wire.pauses)
    assert set(wire.sent_keys) == {"made-1"}


def test_never_tried_again_if_told_so() -> None:
    """retry_for=0 is one try."""
    wire = Wire(BROKEN)
    with pytest.raises(revgrid.NoAnswerError):
        wire.run(MAKE["meter"](), 0)
    assert len(wire.sent) == 1


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_doubles_with_jitter_up_to_a_limit(tries: int, chance: float) -> None:
    """Between the half and the whole of the doubled pause, never more than the longest."""
    whole = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 30))
    assert whole / 2 <= backoff(tries, chance) <= whole


def test_retry_after_is_waited_for_and_more() -> None:
    """The answer's seconds, and the backoff above them so that those who were shed do not come back together."""
    wire = Wire(refused(429, Retry_After="3"), refused(503, "not_recorded", Retry_After="1"), answer(201, METERED))
    wire.run(MAKE["meter"]())
    first, second = wire.pauses
    assert 3 < first <= 3 + FIRST_PAUSE and 1 < second <= 1 + 2 * FIRST_PAUSE


def test_a_retry_after_beyond_the_limit_is_told_at_once() -> None:
    """Coming back earlier than asked would be no use, and later was not allowed."""
    wire = Wire(refused(429, Retry_After="31"))
    with pytest.raises(revgrid.TooManyRequestsError):
        wire.run(MAKE["meter"](), 30)
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "2"}, 2),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:10 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10),
        ({"Retry_After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:10 GMT"}, 0),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:10", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"Retry_After": "soon", "Date": "now"}, 0),
        ({"Retry_After": "-1"}, 0),
        ({"Retry_After": "²"}, 0),
        ({}, 0),
    ],
)
def test_retry_after_in_both_its_forms(headers: dict[str, str], seconds: float) -> None:
    """Seconds, or a date, which counts from the answer's own; anything else asks for nothing."""
    assert retry_after(refused(503, **headers)) == seconds


def test_an_accepted_event_is_not_asked_for_again() -> None:
    """202 is an answer: durable, without a price yet."""
    body = {**METERED, "price": None, "price_charged": None, "price_breakdown": None, "status": "accepted"}
    wire = Wire(answer(202, body))
    made = wire.run(MAKE["meter"]())
    assert (made.status, made.price, made.price_charged, made.event_id) == ("accepted", None, None, 42)
    assert len(wire.sent) == 1


def test_a_replayed_answer_says_so() -> None:
    """The header becomes a field, and the price is that of the first time."""
    made = Wire(BROKEN, answer(201, METERED, Idempotent_Replayed="true")).run(MAKE["meter"]())
    assert made.replayed is True and made.price.total_cents == Decimal("1.47")
    assert Wire(answer(201, METERED)).run(MAKE["meter"]()).replayed is False
