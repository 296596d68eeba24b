"""Query parameters are strict, and cursors are opaque."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.problems import Invalid
from ingest.reads import cursors
from ingest.reads.params import audit_request, event_query, outcome_query, usage_request
from schemas.limits import DAY, HOUR
from warehouse.rows import MAX_ID, EventQuery, OutcomeQuery, UsageQuery
from warehouse.time_range import EVER, TimeRange

NOW = 1_777_204_800_000  # 2026-04-26T12:00:00Z


def given_as(text: str) -> dict[str, str]:
    """``a=1&b=2`` by name, nothing decoded."""
    return {key: value for key, _, value in (part.partition("=") for part in text.split("&") if part)}


def test_nothing_asked_is_the_newest_page() -> None:
    """Without parameters a list is the newest 50 of the customer's own mode, usage the last 30 days."""
    assert event_query({}, "acme", test=False) == EventQuery("acme", test=False, time=EVER, at_most=MAX_ID, limit=50)
    asked = usage_request({}, "acme", True, NOW)
    assert (asked.period, asked.group) == ("30d", None)
    assert asked.query == UsageQuery("acme", True, TimeRange(NOW - NOW % DAY - 29 * DAY, NOW - NOW % DAY + DAY))


def test_everything_asked() -> None:
    """Every filter of a list and of usage is taken over."""
    cursor = cursors.encode("events", 77)
    text = (
        f"agent_id=a b&action=chat&outcome=pending&idempotency_key=K#1&limit=1000&cursor={cursor}"
        "&from=2026-04-26T14:00:00+02:00&to=2026-04-26T12:00:00.001Z"
    )
    time = TimeRange(NOW, NOW + 1)
    wanted = EventQuery("acme", False, "a b", "chat", "pending", "K#1", time, at_most=76, limit=1000)
    assert event_query(given_as(text), "acme", False) == wanted
    asked = usage_request(given_as("from=2026-04-26T12:00:00Z&model=m&group_by=agent"), "acme", False, NOW)
    assert asked.query == UsageQuery("acme", False, TimeRange(NOW, NOW + HOUR), model="m")
    assert (asked.period, asked.group) == ("custom", "agent")


def test_lists_of_outcomes() -> None:
    """Nothing asked is the newest page; every filter is taken over, with the clock that expiry is judged by."""
    assert outcome_query({}, "acme", False, NOW) == OutcomeQuery("acme", NOW, test=False, at_most=MAX_ID, limit=50)
    text = "status=expired&agent_id=a&limit=7&from=2026-04-26T12:00:00Z&to=2026-04-26T12:00:00.001Z"
    given = given_as(f"{text}&cursor={cursors.encode('outcomes', 77)}")
    wanted = OutcomeQuery("acme", NOW, True, "a", "expired", TimeRange(NOW, NOW + 1), at_most=76, limit=7)
    assert outcome_query(given, "acme", True, NOW) == wanted


def test_a_plus_that_was_not_escaped_still_is_an_offset() -> None:
    """A + of an offset arrives as a blank when the URL did not escape it, and is understood."""
    asked = usage_request(given_as("from=2026-04-26T14:00:00 02:00"), "acme", False, NOW)
    assert asked.query.time.start == NOW


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("agent_id=", "agent_id"),
        ("action=" + "x" * 257, "action"),
        ("idempotency_key=a\x00b", "idempotency_key"),
        ("outcome=none", "outcome"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=٣", "limit"),
        ("limit=1.0", "limit"),
        ("from=2026-04-26T12:00:00", "from"),
        ("from=2026-04-26", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("from=2026-04-26T12:00:00Z&to=2026-04-26T11:00:00Z", "from"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=" + cursors.encode("audit", 1, 2), "cursor"),
        ("cursor=" + cursors.encode("events", MAX_ID + 1), "cursor"),
        ("cursor=" + cursors.encode("events", 0), "cursor"),
        ("cursor=ü", "cursor"),
    ],
)
def test_refused_list_parameters(text: str, named: str) -> None:
    """A value that a list does not know is refused, and the message names the parameter."""
    with pytest.raises(Invalid, match=named):
        event_query(given_as(text), "acme", False)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("period=1d", "period must be one of 24h, 7d, 30d, 90d"),
        ("period=", "period"),
        ("period=7d&from=2026-04-26T12:00:00Z", "period"),
        ("to=2026-04-26T12:00:00Z", "from"),
        ("from=2027-04-26T12:00:00Z", "future"),
        ("group_by=customer", "group_by"),
    ],
)
def test_refused_usage_parameters(text: str, named: str) -> None:
    """A value that usage does not know is refused, and the message names the parameter."""
    with pytest.raises(Invalid, match=named):
        usage_request(given_as(text), "acme", False, NOW)


def test_audit_pages() -> None:
    """The audit trail begins at the newest change and goes on after a cursor."""
    assert audit_request({}).before == (EVER.end, 0)
    assert audit_request({"cursor": cursors.encode("audit", 5, 6), "limit": "3"}) == ((5, 6), 3)


@given(st.sampled_from(["events", "audit"]), st.lists(st.integers(0, 2**63), min_size=1, max_size=3))
def test_cursors_come_back(kind: str, position: list[int]) -> None:
    """A cursor decodes to its position, for its own list only."""
    text = cursors.encode(kind, *position)
    assert list(cursors.decode(kind, text, len(position))) == position
    with pytest.raises(cursors.BadCursor):
        cursors.decode("other", text, len(position))


@given(st.text(max_size=40))
def test_no_text_is_misread_as_a_cursor(text: str) -> None:
    """Whatever is sent as a cursor is refused or is exactly one that a list made."""
    try:
        position = cursors.decode("events", text, 1)
    except cursors.BadCursor:
        return
    assert cursors.encode("events", *position) == text
