"""Billing periods by anchor: where they begin, when a change holds, and what counts by them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from schemas import billing_anchors, entries
from schemas.billing_anchors import Anchors, AnchorStart, period_at, with_anchor
from schemas.commands import Rates, ReadBillingAnchor, SetBillingAnchor
from schemas.limits import DAY
from schemas.open_months import MONTH_PREFIX, decode
from schemas.replies import OutcomeReply, RefusedReply
from schemas.tiers import Step, Tiers
from tests.unit.pricer.test_months import DECEMBER, NOVEMBER, close, decided, event, meter, priced, void


def at(text: str) -> int:
    """The first ms of a date, UTC."""
    return int(datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp()) * 1000


def anchored(day: int, since: str = "2026-01-01") -> Anchors:
    return (AnchorStart(at(since), day),)


def set_anchor(log: MemoryShard, day: int, customer: str = "acme") -> Any:
    reply = log.append(customer.encode(), SetBillingAnchor(customer, day)).reply
    assert isinstance(reply, OutcomeReply)
    return msgspec.json.decode(reply.result)


@pytest.mark.parametrize(
    ("day", "of", "start", "end", "name"),
    [
        (15, "2026-11-15", "2026-11-15", "2026-12-15", "2026-11-15"),
        (15, "2026-11-14", "2026-10-15", "2026-11-15", "2026-10-15"),
        (15, "2026-01-03", "2026-01-01", "2026-01-15", "2026-01-01"),
        (31, "2026-03-01", "2026-02-28", "2026-03-31", "2026-02-28"),
        (31, "2028-02-29", "2028-02-29", "2028-03-31", "2028-02-29"),
        (30, "2026-12-31", "2026-12-30", "2027-01-30", "2026-12-30"),
        (1, "2026-11-30", "2026-11-01", "2026-12-01", "2026-11"),
    ],
)
def test_a_period_goes_from_billing_anchor_to_billing_anchor(
    day: int, of: str, start: str, end: str, name: str
) -> None:
    """In a month without that day it begins on the last one; the first one begins with the change."""
    period = period_at(anchored(day), at(of))
    assert (period.start, period.end, period.name) == (at(start), at(end), name)
    assert period_at(anchored(day), at(of) + DAY - 1) == period


DAYS = st.integers(1, 31)
CHANGES = st.lists(st.tuples(st.integers(0, 90), DAYS), max_size=6)


@given(CHANGES, st.integers(0, 900))
def test_periods_follow_each_other_without_a_gap_whatever_changes(changes: list[tuple[int, int]], days: int) -> None:
    """Each time is in exactly one period, and a change leaves the running one as it is."""
    anchors: Anchors = ()
    now = NOVEMBER
    for later, day in changes:
        now += later * DAY
        before = period_at(anchors, now)
        anchors = with_anchor(anchors, day, now)
        assert period_at(anchors, now) == before
        assert (anchors[-1].day if anchors else 1) == day
    period = period_at(anchors, NOVEMBER + days * DAY)
    assert period.start <= NOVEMBER + days * DAY < period.end
    assert period.end - period.start <= 31 * DAY
    assert period_at(anchors, period.end).start == period.end
    assert period_at(anchors, period.start - 1).end == period.start
    assert billing_anchors.decode(billing_anchors.encode(anchors)) == anchors


@given(CHANGES, st.integers(0, 900))
def test_the_model_of_verify_has_the_same_periods(changes: list[tuple[int, int]], days: int) -> None:
    from tools.verify.anchor_model import AnchorModels

    models, anchors, now = AnchorModels(), (), NOVEMBER
    for later, day in changes:
        now += later * DAY
        after = with_anchor(anchors, day, now)
        assert models.set("acme", day, now) == (after != anchors)
        anchors = after
    period, found = period_at(anchors, NOVEMBER + days * DAY), models.period("acme", NOVEMBER + days * DAY)
    assert (found.start, found.end, found.name) == tuple(period)


def test_a_change_holds_from_the_end_of_the_running_period() -> None:
    """The answer says from when; the same day again changes nothing, another one replaces what does not hold yet."""
    log = MemoryShard(1)
    log.now = NOVEMBER + 20 * DAY
    shown = {"customer_id": "acme", "billing_anchor": 1}
    dates = {"period_start": "2026-11-01T00:00:00.000Z", "period_end": "2026-12-01T00:00:00.000Z"}
    read = log.append(b"acme", ReadBillingAnchor("acme")).reply
    assert isinstance(read, OutcomeReply) and msgspec.json.decode(read.result) == {**shown, **dates}
    later = {"effective_at": "2026-12-01T00:00:00.000Z", **dates}
    assert set_anchor(log, 15) == {"customer_id": "acme", "billing_anchor": 15, **later}
    assert set_anchor(log, 15)["billing_anchor"] == 15
    assert set_anchor(log, 20)["billing_anchor"] == 20
    assert set_anchor(log, 1) == {**shown, **dates}
    written = [entries.decode(one.value).entries[0] for one in log.entries[0]]
    assert [one.type for one in written] == ["billing_anchor.updated"] * 3


@pytest.mark.parametrize("day", [0, 32, -1])
def test_a_day_that_no_month_has_is_refused(day: int) -> None:
    log = MemoryShard(1)
    decision = log.append(b"acme", SetBillingAnchor("acme", day))
    assert isinstance(decision.reply, RefusedReply) and decision.reply.error == "billing_anchor must be from 1 to 31"
    assert decision.changes == ()


def test_steps_count_by_the_periods_of_the_customer() -> None:
    """The step goes on over the 1st, and begins again on the anchor day; others keep the calendar month."""
    log = MemoryShard(1)
    log.now = NOVEMBER - DAY
    set_anchor(log, 15)
    priced(log, Rates("0", "0", "0", tiers=(Tiers("event", (Step("2", "5"), Step(None, "3"))),)))
    log.now = at("2026-11-20")
    assert [one.base for one in meter(log, event(), event())] == ["5", "5"]
    assert [one.base for one in meter(log, event(), event(), customer="globex")] == ["5", "5"]
    log.now = DECEMBER
    assert meter(log, event())[0].base == "3"
    assert meter(log, event(), customer="globex")[0].base == "5"
    log.now = at("2026-12-15") - 1
    assert meter(log, event())[0].base == "3"
    log.now += 1
    assert meter(log, event())[0].base == "5"


def test_a_cap_and_a_minimum_are_of_a_period() -> None:
    """It is closed at its own end, by its own name; the adjustment counts in its last millisecond."""
    log = MemoryShard(1)
    log.now = NOVEMBER - DAY
    set_anchor(log, 15)
    priced(log, Rates("4", "0", "0", cap="10", minimum="9"))
    log.now = at("2026-11-15")
    gone = decided(log, event())
    log.now = DECEMBER
    assert [one.total for one in meter(log, event(), event())] == ["4", "2"]
    void(log, gone)
    assert meter(log, event())[0].total == "4"
    void(log, gone)
    key, stored = next(iter(log.shards[0].scan(MONTH_PREFIX)))
    assert b"2026-11-15" in key and decode(stored).end == at("2026-12-15")
    log.now = at("2026-12-15") - 1
    assert close(log, "2026-11-15") == []
    assert close(log, "2026-11") == []
    log.now += 1
    assert meter(log, event())[0].total == "4"
    assert close(log, "2026-11-15") == []  # 10 of at least 9
    assert len(list(log.shards[0].scan(MONTH_PREFIX))) == 1
    log.now = at("2027-01-15")
    (entry,) = close(log, "2026-12-15")
    assert (entry.total, entry.reason) == ("5", "2026-12-15")
    assert entry.event is not None and entry.event.event_time == log.now - 1
    shown = msgspec.json.decode(entry.detail)
    assert (shown["month"], shown["period_start"], shown["period_end"]) == (
        "2026-12-15",
        "2026-12-15T00:00:00.000Z",
        "2027-01-15T00:00:00.000Z",
    )


def test_a_month_that_was_open_before_the_change_ends_as_it_began() -> None:
    """Its state has no end of its own, as in logs from before anchors."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("4", "0", "0", minimum="9"))
    meter(log, event())
    set_anchor(log, 15)
    meter(log, event())
    log.now = DECEMBER
    (entry,) = close(log)
    assert (entry.total, b"period_start" in bytes(entry.detail)) == ("1", False)
    meter(log, event())
    (_, stored) = next(iter(log.shards[0].scan(MONTH_PREFIX)))
    assert (decode(stored).month, decode(stored).end) == ("2026-12-01", at("2026-12-15"))


def test_a_shard_without_anchors_looks_for_none() -> None:
    """The state of a plain month is what it was."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("4", "0", "0", minimum="9"))
    meter(log, event())
    (_, stored) = next(iter(log.shards[0].scan(MONTH_PREFIX)))
    assert b'"end"' not in stored
    assert datetime.fromtimestamp(NOVEMBER / 1000, UTC) + timedelta(days=30) == datetime(2026, 12, 1, tzinfo=UTC)
