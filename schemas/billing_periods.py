"""Where a customer's billing periods end: weekly or monthly, on an anchor day, at midnight of a time zone.

Pure, but for the time zone data of the machine, which says when clocks change.
"""

from calendar import monthrange
from datetime import date, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from schemas.months import month_after

Interval = Literal["week", "month"]
UTC_NAME = "UTC"
LAST_ANCHOR = {"week": 7, "month": 31}
_OF_THE_MACHINE = {"localtime", "Factory"}
"""Names that mean another zone on each machine, or none."""


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a customer's periods begin and end. The default is the calendar month, UTC.

    ``anchor``: a day of the month, the last one if the month has fewer days; or of the week, Monday is 1.
    ``time_zone``: a name of the IANA database.
    """

    interval: Interval = "month"
    anchor: int = 1
    time_zone: str = UTC_NAME


CALENDAR = Schedule()


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - _OF_THE_MACHINE)


def is_time_zone(name: str) -> bool:
    """Return whether this machine knows a time zone of the IANA database by this name."""
    return name in _names()


def period_end_after(schedule: Schedule, at: int) -> int:
    """Return the first end of a period that is later than a time; both are ms since the epoch.

    A day begins at its first instant: where clocks are put forward at midnight, that is when they are.
    """
    zone = ZoneInfo(schedule.time_zone)
    today = datetime.fromtimestamp(at // 1000, zone).date()
    days = _weekdays(schedule, today) if schedule.interval == "week" else _month_days(schedule, today)
    return next(end for day in days if (end := _begin_of(day, zone)) > at)


def local_month(schedule: Schedule, at: int) -> str:
    """Return the calendar month that a time is in, in the schedule's time zone."""
    return f"{datetime.fromtimestamp(at // 1000, ZoneInfo(schedule.time_zone)):%Y-%m}"


def _weekdays(schedule: Schedule, today: date) -> list[date]:
    first = today + timedelta(days=(schedule.anchor - today.isoweekday()) % 7 - 7)
    return [first + timedelta(weeks=week) for week in range(4)]


def _month_days(schedule: Schedule, today: date) -> list[date]:
    month = f"{today:%Y-%m}"
    days = []
    for _ in range(3):
        year, number = int(month[:4]), int(month[5:])
        days.append(date(year, number, min(schedule.anchor, monthrange(year, number)[1])))
        month = month_after(month)
    return days


def _begin_of(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000
