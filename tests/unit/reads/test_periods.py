"""Which stretch of time a total is about."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.limits import DAY, HOUR
from warehouse.time_range import LAST, PERIODS, TimeRange, named, since, today

MOMENTS = st.integers(0, LAST - 1)


def at(text: str) -> int:
    """Ms since the epoch of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("24h", "2026-04-26T12:34:56", "2026-04-25T13:00:00", "2026-04-26T13:00:00"),
        ("24h", "2026-04-26T00:00:00", "2026-04-25T01:00:00", "2026-04-26T01:00:00"),
        ("7d", "2026-04-26T23:59:59", "2026-04-20T00:00:00", "2026-04-27T00:00:00"),
        ("30d", "2026-03-01T00:00:00", "2026-01-31T00:00:00", "2026-03-02T00:00:00"),
        ("90d", "2024-03-01T12:00:00", "2023-12-03T00:00:00", "2024-03-02T00:00:00"),
    ],
)
def test_named_periods(period: str, now: str, start: str, end: str) -> None:
    """24h is this hour and the 23 before, Nd this day and the N-1 before, in UTC."""
    assert named(period, at(now)) == TimeRange(at(start), at(end))


@given(st.sampled_from(sorted(PERIODS)), MOMENTS)
def test_a_named_period_holds_now_in_its_last_unit(period: str, now: int) -> None:
    """Every named period has its full length, lies on hours, and ends with the unit that now is in."""
    unit, count = PERIODS[period]
    found = named(period, now)
    assert found.end - found.start == unit * count
    assert found.end - unit <= now < found.end
    assert found.on_hours


@given(MOMENTS)
def test_today_is_the_last_day_of_a_week(now: int) -> None:
    """Today is the day that 7d ends with."""
    assert today(now) == TimeRange(named("7d", now).end - DAY, named("7d", now).end)


def test_an_open_range_ends_with_the_running_hour() -> None:
    """Without an end, a range holds what has happened up to the end of this hour."""
    now = at("2026-04-26T12:34:56")
    assert since(5, None, now) == TimeRange(5, at("2026-04-26T13:00:00"))
    assert since(5, 9, now) == TimeRange(5, 9)


@given(st.integers(-(10**15), 10**15), st.integers(-(10**15), 10**15))
def test_clamping_keeps_what_can_have_happened(start: int, end: int) -> None:
    """A clamped range holds exactly the moments of the range that the engine can tell."""
    found = TimeRange(start, end).clamped()
    for moment in (0, 1, start, end, end - 1, LAST - 1):
        if 0 <= moment < LAST:
            assert (found.start <= moment < found.end) == (start <= moment < end)


@pytest.mark.parametrize(
    ("found", "hourly"), [(TimeRange(0, HOUR), True), (TimeRange(1, HOUR), False), (TimeRange(0, HOUR - 1), False)]
)
def test_whole_hours(found: TimeRange, hourly: bool) -> None:
    """Only a range with both ends on an hour can be answered by the hour."""
    assert found.on_hours is hourly
