"""Notices of months that are over: never early, repeated until the state shows the close."""

import msgspec
import pytest

from expirer.month_timers import AGAIN, SLOWLY, MonthTimers
from schemas import open_months
from schemas.commands import CloseMonth
from schemas.limits import DAY
from schemas.months import MonthError, month_range
from schemas.open_months import OpenMonth, month_key, slot_of

END = month_range("2026-11").end


def opened(timers: MonthTimers, month: OpenMonth) -> bytes:
    key = month_key(month.customer_id, month.test, month.month, slot_of(month))
    timers.observed(key, open_months.encode(month))
    return key


def test_a_notice_is_sent_when_the_month_is_over_and_names_what_it_is_of() -> None:
    """Repeats of a month's state and other months change nothing."""
    timers = MonthTimers()
    month = OpenMonth("acme", "2026-11", "chat", own=True, model="m1", provider="p1", test=True)
    key = opened(timers, month)
    opened(timers, month)
    opened(timers, OpenMonth("acme", "2026-12", "chat"))
    assert timers.take(END - 1, 0, 10) == []
    assert timers.oldest() is None
    assert timers.take(END, 0, 10) == [
        (key, CloseMonth("acme", "2026-11", "chat", own=True, model="m1", provider="p1", test=True))
    ]
    assert (timers.due, timers.oldest()) == (1, END)


def test_a_billing_period_of_an_anchor_has_its_own_end() -> None:
    timers = MonthTimers()
    key = opened(timers, OpenMonth("acme", "2026-11-15", "chat", end=END + 14 * DAY))
    assert timers.take(END + 14 * DAY - 1, 0, 10) == []
    assert timers.take(END + 14 * DAY, 0, 10) == [(key, CloseMonth("acme", "2026-11-15", "chat"))]


def test_a_notice_is_repeated_once_the_shard_has_passed_over_it() -> None:
    """Until then only slowly, since the shard is behind; one that may be lost soon; one of a closed month never."""
    timers = MonthTimers()
    key = opened(timers, OpenMonth("acme", "2026-11", "chat"))
    assert len(timers.take(END, 0, 10)) == 1
    timers.sent(key, 7, 0)
    assert timers.take(END, AGAIN, 10) == []
    timers.passed(7)
    assert timers.take(END, AGAIN, 10) == []
    timers.passed(8)
    assert timers.take(END, AGAIN - 1, 10) == []
    assert len(timers.take(END, AGAIN, 10)) == 1
    timers.sent(key, 20, AGAIN)
    assert len(timers.take(END, AGAIN + SLOWLY, 10)) == 1
    timers.sent(key, -1, 0)
    assert len(timers.take(END, AGAIN, 10)) == 1
    timers.observed(key, None)
    timers.sent(key, 30, 0)
    assert timers.take(END, AGAIN + SLOWLY, 10) == []
    assert timers.due == 0


def test_at_most_so_many_at_once_and_none_while_the_clock_is_set_back() -> None:
    timers = MonthTimers()
    keys = [opened(timers, OpenMonth(f"c{n}", "2026-11", "chat")) for n in range(5)]
    first = timers.take(END, 0, 3)
    assert len(first) == 3
    for key, _ in first:
        timers.sent(key, 1, 0)
    rest = timers.take(END, 0, 3)
    assert sorted(key for key, _ in first + rest) == sorted(keys)
    assert timers.take(END - 1, SLOWLY, 10) == []


def test_an_unreadable_month_is_an_error() -> None:
    timers = MonthTimers()
    with pytest.raises(msgspec.DecodeError):
        timers.observed(b"month/x", b"{}")
    with pytest.raises(MonthError):
        timers.observed(b"month/x", open_months.encode(OpenMonth("acme", "2026-13", "chat")))
