"""Periods end at the first instant of the anchor's day in the customer's time zone, whatever its clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.billing_periods import CALENDAR, Schedule, is_time_zone, local_month, period_end_after
from schemas.limits import DAY, HOUR
from schemas.months import month_around

ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "America/Havana", "America/Santiago", "Australia/Lord_Howe"),
    *("Asia/Kolkata", "Africa/Cairo", "Asia/Beirut", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Pago_Pago"),
)
SCHEDULES = st.one_of(
    st.builds(Schedule, st.just("month"), st.integers(1, 31), st.sampled_from(ZONES)),
    st.builds(Schedule, st.just("week"), st.integers(1, 7), st.sampled_from(ZONES)),
)
TIMES = st.integers(1_790_000_000_000, 1_990_000_000_000)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


@pytest.mark.parametrize(
    ("schedule", "after", "end"),
    [
        # clocks go back on October 25 and forward on March 28
        (Schedule("month", 1, "Europe/Berlin"), "2026-10-01", "2026-10-31T23:00"),
        (Schedule("month", 1, "Europe/Berlin"), "2026-09-30T21:59", "2026-09-30T22:00"),
        (Schedule("month", 28, "Europe/Berlin"), "2027-03-01", "2027-03-27T23:00"),
        (Schedule("month", 29, "Europe/Berlin"), "2027-03-01", "2027-03-28T22:00"),
        (Schedule("month", 1, "America/New_York"), "2026-10-31T12:00", "2026-11-01T04:00"),
        (Schedule("month", 1, "America/New_York"), "2026-11-01T04:00", "2026-12-01T05:00"),
        # at midnight clocks go forward to one: the day begins then
        (Schedule("month", 30, "Africa/Cairo"), "2027-04-01", "2027-04-29T22:00"),
        # at one clocks go back to midnight: the first of two midnights
        (Schedule("week", 7, "America/Havana"), "2026-10-27", "2026-11-01T04:00"),
        # days that a month does not have
        (Schedule("month", 31), "2027-02-01", "2027-02-28T00:00"),
        (Schedule("month", 31), "2027-02-28", "2027-03-31T00:00"),
        (Schedule("month", 30), "2028-02-01", "2028-02-29T00:00"),
        (Schedule("week", 1), "2026-11-30", "2026-12-07T00:00"),
        (Schedule("week", 1), "2026-11-29T23:59:59", "2026-11-30T00:00"),
        (Schedule("week", 3, "Pacific/Kiritimati"), "2026-11-30", "2026-12-01T10:00"),
    ],
)
def test_where_periods_end(schedule: Schedule, after: str, end: str) -> None:
    assert period_end_after(schedule, at(after)) == at(end)


@given(TIMES)
def test_the_default_is_the_calendar_month(time: int) -> None:
    assert period_end_after(CALENDAR, time) == month_around(time).end
    assert local_month(CALENDAR, time) == f"{datetime.fromtimestamp(time // 1000, UTC):%Y-%m}"


@given(SCHEDULES, TIMES)
@example(Schedule("month", 1, "Pacific/Apia"), at("2026-12-31T09:59:59"))
def test_ends_are_midnights_of_the_anchor_without_one_between(schedule: Schedule, time: int) -> None:
    """Against a walk over each instant at which a quarter of an hour begins."""
    end = period_end_after(schedule, time)
    assert time < end <= time + 33 * DAY
    zone = ZoneInfo(schedule.time_zone)
    local, before = (datetime.fromtimestamp(one // 1000, zone) for one in (end, end - 1000))
    assert local.date() > before.date() and _is_anchor(schedule, local)
    step = time - time % (HOUR // 4) + HOUR // 4
    day = datetime.fromtimestamp(time // 1000, zone).date()
    while step < end:
        here = datetime.fromtimestamp(step // 1000, zone)
        assert not (here.date() > day and _is_anchor(schedule, here))
        day = max(day, here.date())
        step += HOUR // 4


def _is_anchor(schedule: Schedule, local: datetime) -> bool:
    if schedule.interval == "week":
        return local.isoweekday() == schedule.anchor
    last = (local.date() + timedelta(days=1)).day == 1
    return local.day == schedule.anchor or (last and local.day < schedule.anchor)


@pytest.mark.parametrize("name", ["", "localtime", "Europe/Atlantis", "../../etc/passwd", "UTC\x00", "europe/berlin"])
def test_other_names_are_no_time_zones(name: str) -> None:
    assert not is_time_zone(name)
    assert is_time_zone("Europe/Berlin") and is_time_zone("UTC")
