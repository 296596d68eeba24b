"""Minimums of customers' own rows in months without events: single rules, then random histories against a timeline that
is written down as it happens, and rev verify over the same logs."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricer.memory import MemoryShard
from schemas import entries, open_months
from schemas.commands import (
    DeletePrice,
    EnsureCustomer,
    GrantCredit,
    Meter,
    MeterEvent,
    Rates,
    SetBillingAnchor,
    SetPrice,
    UpdateCustomer,
)
from schemas.entries import Entry
from schemas.limits import DAY
from schemas.open_months import MONTH_PREFIX, end_of
from schemas.quantities import Line
from schemas.topics import CONFIG_KEY
from tests.unit.pricer.test_months import DECEMBER, NOVEMBER, close, decided, event, meter, void
from tests.unit.verify.pricer_ledger import check, rows_of
from tools.verify.anchor_model import AnchorModels

JANUARY = DECEMBER + 31 * DAY
FLOOR = Rates("1", "0", "0", minimum="50")
PLAIN = Rates("1", "0", "0")


def own(log: MemoryShard, rates: Rates, at: int | None = None) -> int:
    """Set acme's own price for chat, and return its id."""
    command = SetPrice("chat", rates, "acme", effective_at=at)
    decision = log.append(CONFIG_KEY, command)
    (entry,) = entries.decode(decision.entries or b"").entries
    shown = msgspec.json.decode(entry.detail)
    return int(shown["id"])


def closed(log: MemoryShard) -> dict[str, Entry]:
    """Close every month that is over, as the expirer does, and return the adjustments by month."""
    found: dict[str, Entry] = {}
    while True:
        months = [open_months.decode(value) for _, value in log.shards[0].scan(MONTH_PREFIX)]
        over = [month for month in months if end_of(month) <= log.now]
        if not over:
            return found
        for one in over:
            for entry in close(log, one.month, one.customer_id, own=one.own, test=one.test):
                assert one.month not in found
                found[one.month] = entry


def verified(log: MemoryShard) -> None:
    found, _ = asyncio.run(check(log, list(rows_of(log))))
    assert found == []


@pytest.fixture
def log() -> MemoryShard:
    log = MemoryShard(1)
    log.now = NOVEMBER + 1
    return log


def test_a_month_without_events_owes_the_minimum_of_a_customers_own_row(log: MemoryShard) -> None:
    """Not the one in which it is set, then each one, also one after another that nobody closed in time; credit pays."""
    log.append(b"acme", GrantCredit("acme", "60", "paid"))
    log.now += DAY
    price = own(log, FLOOR)
    log.now = JANUARY + 31 * DAY
    owed = closed(log)
    assert {month: entry.total for month, entry in owed.items()} == {"2026-12": "50", "2027-01": "50"}
    assert owed["2026-12"].lines == (Line("minimum", "1", "50", 1, "50"),)
    assert owed["2026-12"].event == MeterEvent("", "chat", event_time=JANUARY - 1)
    assert [entry.credit for entry in owed.values()] == ["50", "10"]
    shown = msgspec.json.decode(owed["2027-01"].detail)
    assert (shown["price_id"], shown["minimum_cents"], shown["volume_cents"]) == (price, 50, 0)
    verified(log)


def test_the_row_of_everybody_owes_nothing_without_events(log: MemoryShard) -> None:
    """Or everybody who ever had a key would pay."""
    log.append(CONFIG_KEY, SetPrice("chat", FLOOR))
    meter(log, event(), customer="globex")
    log.now = JANUARY
    assert {month: entry.total for month, entry in closed(log).items()} == {"2026-11": "49"}
    verified(log)


def test_events_count_towards_it_and_months_after_them_owe_it_whole(log: MemoryShard) -> None:
    own(log, FLOOR)
    meter(log, event(), event())
    log.now = DECEMBER + DAY
    meter(log, event())
    log.now = JANUARY + 31 * DAY
    found = {month: entry.total for month, entry in closed(log).items()}
    assert found == {"2026-11": "48", "2026-12": "49", "2027-01": "50"}
    verified(log)


def test_a_row_that_comes_or_goes_in_mid_month_owes_nothing_without_events(log: MemoryShard) -> None:
    price = own(log, FLOOR, DECEMBER + 14 * DAY)
    log.now = JANUARY + 31 * DAY
    assert set(closed(log)) == {"2027-01"}
    log.now += DAY
    log.append(CONFIG_KEY, DeletePrice(price))
    log.now += 90 * DAY
    assert closed(log) == {}
    assert list(log.shards[0].scan(MONTH_PREFIX)) == []
    verified(log)


def test_a_gap_in_mid_month_ends_it_and_another_minimum_does_not(log: MemoryShard) -> None:
    own(log, FLOOR)
    log.now = DECEMBER + DAY
    closed(log)
    own(log, PLAIN)
    log.now += DAY
    own(log, FLOOR)
    log.now = JANUARY + DAY
    assert closed(log) == {}
    own(log, Rates("1", "0", "0", minimum="70"))
    own(log, Rates("1", "0", "0", minimum="80"), JANUARY + 20 * DAY)
    own(log, Rates("1", "0", "0", minimum="90"), JANUARY + 40 * DAY)
    log.now = JANUARY + 60 * DAY
    found = {month: entry.total for month, entry in closed(log).items()}
    assert found == {"2027-01": "80", "2027-02": "90"}
    verified(log)


def test_a_change_after_its_end_says_nothing_of_a_month(log: MemoryShard) -> None:
    """Notices of its end may be late."""
    own(log, FLOOR)
    log.now = DECEMBER
    closed(log)
    log.now = JANUARY + DAY
    own(log, PLAIN)
    assert {month: entry.total for month, entry in closed(log).items()} == {"2026-12": "50"}
    log.now += 90 * DAY
    assert closed(log) == {}
    verified(log)


def test_a_month_whose_events_are_all_voided_owes_it(log: MemoryShard) -> None:
    own(log, FLOOR)
    log.now = DECEMBER
    closed(log)
    void(log, decided(log, event()))
    log.now = JANUARY
    assert [entry.total for entry in closed(log).values()] == ["50"]
    verified(log)


def test_it_follows_the_billing_anchor(log: MemoryShard) -> None:
    own(log, FLOOR)
    log.append(b"acme", SetBillingAnchor("acme", 15))
    log.now = JANUARY + 20 * DAY
    found = {month: entry.total for month, entry in closed(log).items()}
    assert found == {"2026-12-01": "50", "2026-12-15": "50"}
    verified(log)


def test_test_mode_and_customers_flagged_test_owe_nothing_without_events(log: MemoryShard) -> None:
    """Their events are in test mode, so a live charge would be the first of theirs."""
    key = b"acme"
    log.append(CONFIG_KEY, SetPrice("chat", PLAIN))
    decided(log, event())
    log.append(CONFIG_KEY, _customer())
    log.append(CONFIG_KEY, UpdateCustomer("acme", test=True))
    own(log, FLOOR)
    log.append(key, Meter("acme", 1, [event()], 10**11, 1000, False, True, "test"))
    log.now = JANUARY + 31 * DAY
    assert {month: entry.total for month, entry in closed(log).items()} == {"2026-11": "49"}
    log.append(CONFIG_KEY, UpdateCustomer("acme", test=False))
    log.now += 1
    own(log, FLOOR)
    log.now += 70 * DAY
    assert set(closed(log)) == {"2027-03"}
    verified(log)


def _customer() -> EnsureCustomer:
    return EnsureCustomer("acme", "key")


def test_a_notice_of_a_month_that_is_not_open_changes_nothing(log: MemoryShard) -> None:
    own(log, FLOOR)
    log.now = JANUARY
    assert close(log, "2026-12", own=True) == []
    assert set(closed(log)) == {"2026-12"}
    assert close(log, "2026-12", own=True) == []
    verified(log)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from([None, "10", "25.5"]), st.sampled_from([0, 0, 9, 33])),
        st.tuples(st.just("end"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 4, 12, 31, 50]), st.booleans()),
        st.tuples(st.just("meter"), st.just(0), st.just(0)),
        st.tuples(st.just("anchor"), st.sampled_from([1, 7, 31]), st.just(0)),
    ),
    min_size=3,
    max_size=16,
)


class Timeline:
    """The prices of acme's row and since when each was in force, written down as it happens."""

    def __init__(self) -> None:
        self.plan: list[tuple[int, int, str | None]] = []
        """Start, price id and minimum of what is in force and scheduled, by start."""
        self.held: list[tuple[int, str | None]] = [(0, None)]

    def note(self, at: int) -> None:
        """Note what holds at a time and will hold, in the place of what would have held."""
        now = [minimum for start, _, minimum in self.plan if start <= at]
        self.held = [one for one in self.held if one[0] < at] + [(at, now[-1] if now else None)]
        self.held += [(start, minimum) for start, _, minimum in self.plan if start > at]

    def due(self, start: int, end: int) -> str | None:
        """The minimum of a month without events."""
        before = [one for one in self.held if one[0] <= start]
        inside = [before[-1], *(one for one in self.held if start < one[0] < end)]
        return None if any(minimum is None for _, minimum in inside) else inside[-1][1]


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_random_histories_owe_what_the_timeline_says(steps: list[tuple[str, object, object]]) -> None:
    """Months with events owe what their last price says, all others what held from their first moment to their last."""
    log = MemoryShard(1)
    log.now = NOVEMBER + 5
    line, anchors = Timeline(), AnchorModels()
    log.append(CONFIG_KEY, SetPrice("chat", PLAIN))
    spent: dict[tuple[int, int], tuple[int, str | None]] = {}
    found: dict[str, Entry] = {}
    for name, first, second in steps:
        log.now += 1
        if name == "set":
            start = log.now + int(str(second)) * DAY
            rates = Rates("1", "0", "0", minimum=None if first is None else str(first))
            price = own(log, rates, start if second else None)
            kept = [one for one in line.plan if one[0] > log.now] if not second else line.plan
            line.plan = sorted([*kept, (start, price, rates.minimum)])
        elif name == "end" and line.plan:
            started = [one for one in line.plan if one[0] <= log.now][-1:]
            line.plan = [*started, *(one for one in line.plan if one[0] > log.now)]
            ended = line.plan[int(str(first)) % len(line.plan)]
            log.append(CONFIG_KEY, DeletePrice(ended[1]))
            line.plan.remove(ended)
        elif name == "wait":
            log.now += int(str(first)) * DAY
            if second:
                found |= closed(log)
            continue
        elif name == "meter":
            assert meter(log, event())[0].total == "1"
            period = anchors.period("acme", log.now)
            held = [minimum for start, _, minimum in line.plan if start <= log.now]
            key = (period.start, period.end)
            if held and (held[-1] is not None or key in spent):
                spent[key] = (spent.get(key, (0, None))[0] + 1, held[-1])
            continue
        elif name == "anchor":
            log.append(b"acme", SetBillingAnchor("acme", int(str(first))))
            anchors.set("acme", int(str(first)), log.now)
            continue
        line.note(log.now)
    log.now += 70 * DAY
    found |= closed(log)
    expected: dict[str, Decimal] = {}
    at = NOVEMBER
    while (period := anchors.period("acme", at)).end <= log.now:
        events, last = spent.get((period.start, period.end), (0, None))
        minimum = last if events else line.due(period.start, period.end)
        if minimum is not None and Decimal(minimum) > events:
            expected[period.name] = Decimal(minimum) - events
        at = period.end
    assert {month: Decimal(entry.total) for month, entry in found.items()} == expected
    verified(log)
