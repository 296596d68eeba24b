"""Volume steps, minimums and caps of a month: single rules, then the pricer against a Decimal model written apart."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pricer.memory import MemoryShard
from schemas import entries, open_months
from schemas.commands import (
    CloseMonth,
    CreateBudget,
    GrantCredit,
    Meter,
    MeterEvent,
    Rates,
    SetBillingAnchor,
    SetPrice,
)
from schemas.entries import Entry
from schemas.money import MoneyError
from schemas.months import month_of
from schemas.open_months import MONTH_PREFIX
from schemas.quantities import Line, QuantityRate
from schemas.rate_rules import canonical_rates
from schemas.tiers import Step, Tiers
from streams.state import RETENTION
from streams.types import Decision
from tests.unit.pricer.month_model import Metered, MonthModel, Terms
from tests.unit.pricer.voiding import void_command
from tools.verify.anchor_model import AnchorModels

NOVEMBER, DECEMBER = 1_793_491_200_000, 1_796_083_200_000
"""The first ms of both months of 2026, UTC."""
TIERS = (
    Tiers("event", (Step("2", "5"), Step(None, "3"))),
    Tiers("images", (Step("1.5", "2"), Step(None, "0.5"))),
    Tiers("input", (Step("1000", "300", 1_000_000), Step(None, "200", 1_000_000))),
)
VOLUME = Rates("0", "0.0004", "0", tiers=TIERS, tier_mode="volume")
CAPPED = Rates("1", "0.01", "4", (QuantityRate("images", "2.5"),), cap="10")


def priced(log: MemoryShard, rates: Rates, **slot: Any) -> None:
    log.append(b"_config", SetPrice("chat", rates, **slot))


def decided(log: MemoryShard, *events: MeterEvent, customer: str = "acme", test: bool = False) -> Decision:
    command = Meter(customer, 1, list(events), 10**11, 1000, len(events) > 1, test, "test" if test else "live")
    return log.append(customer.encode(), command)


def written(decision: Decision) -> list[Entry]:
    return [] if decision.entries is None else entries.decode(decision.entries).entries


def meter(log: MemoryShard, *events: MeterEvent, **owner: Any) -> list[Entry]:
    return written(decided(log, *events, **owner))


def event(input: int | None = None, images: str | None = None, plain: int = 0, **more: Any) -> MeterEvent:
    """An event of input tokens, or else of plain ones."""
    quantities = {} if images is None else {"images": images}
    return MeterEvent("a", "chat", plain if input is None else input, input, None, quantities=quantities, **more)


def close(log: MemoryShard, month: str = "2026-11", customer: str = "acme", **more: Any) -> list[Entry]:
    return written(log.append(customer.encode(), CloseMonth(customer, month, "chat", **more)))


def void(log: MemoryShard, decision: Decision, index: int = 0) -> list[Entry]:
    """Void one event of a decision, as the gateway does it from the ledger."""
    command = void_command(decision, index)
    return written(log.append(command.customer_id.encode(), command))


def open_keys(log: MemoryShard) -> list[bytes]:
    return [key for key, _ in log.shards[0].scan(MONTH_PREFIX)]


def test_volume_is_charged_at_the_first_step_and_settled_at_the_step_that_the_month_reaches() -> None:
    """One adjustment holds the difference of every quantity and of the count of events, each in a line."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, VOLUME)
    first = meter(log, event(900, "1"), event(300, "1"), event())
    assert [entry.total for entry in first] == ["7.27", "7.09", "5"]
    log.now = DECEMBER
    (entry,) = close(log)
    assert entry.kind == "adjustment"
    assert entry.lines == (
        Line("event", "0", "3", 1, "-6"),
        Line("images", "0", "0.5", 1, "-3"),
        Line("input", "0", "200", 10**6, "-0.12"),
    )
    assert (entry.base, entry.token, entry.quantity, entry.total) == ("0", "-0.12", "-9", "-9.12")
    assert entry.reason == "2026-11"
    assert entry.event == MeterEvent("", "chat", event_time=DECEMBER - 1)
    shown = msgspec.json.decode(entry.detail)
    assert (shown["month"], shown["volume_cents"], shown["minimum_cents"]) == ("2026-11", -9.12, 0)
    assert open_keys(log) == []


def test_a_count_at_the_end_of_a_step_is_on_it() -> None:
    """A month of exactly 1,000 is on the step up to 1,000; one more is on the next."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("0", "0", "0", tiers=(Tiers("input", (Step("1000", "3"), Step(None, "2"))),), tier_mode="volume"))
    meter(log, event(1000))
    meter(log, event(1001), customer="globex")
    log.now = DECEMBER
    assert close(log) == []
    assert [entry.total for entry in close(log, customer="globex")] == ["-1001"]


def test_a_month_is_closed_once_and_not_before_its_end() -> None:
    """Notices that are early, repeated, or of a month without events change nothing; the next month may have begun."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("1", "0", "0", minimum="10"))
    meter(log, event())
    log.now = DECEMBER - 1
    assert close(log) == []
    log.now = DECEMBER
    meter(log, event(), event())
    assert close(log, "2026-10") == []
    assert close(log, own=True) == []
    assert [entry.total for entry in close(log)] == ["9"]
    assert close(log) == []
    assert len(open_keys(log)) == 1
    assert meter(log, event())[0].total == "1"


def test_a_minimum_is_filled_up_and_what_reaches_it_is_left_alone() -> None:
    """It counts what events cost, volume included; each customer and mode has its own; no events, no minimum."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, msgspec.structs.replace(VOLUME, minimum="12"))
    meter(log, event(), event(), event())
    meter(log, event(), test=True)
    meter(log, *[event()] * 5, customer="globex")
    log.now = DECEMBER
    (entry,) = close(log)
    assert entry.lines == (Line("event", "0", "3", 1, "-6"), Line("minimum", "1", "3", 1, "3"))
    assert entry.total == "-3"
    (tested,) = close(log, test=True)
    assert (tested.total, tested.lines) == ("7", (Line("minimum", "1", "7", 1, "7"),))
    assert [entry.total for entry in close(log, customer="globex")] == ["-10"]
    assert close(log, customer="initech") == []


def test_the_event_that_crosses_a_cap_is_split_and_later_ones_cost_nothing() -> None:
    """A line takes back what is beyond the cap, so that the parts and the lines still add up."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, CAPPED)
    first, second, third = meter(
        log, event(images="2"), event(images="1", plain=10, outcome="success"), event(plain=500)
    )
    assert (first.total, first.lines) == ("6", (Line("images", "2", "2.5", 1, "5"),))
    assert second.lines == (
        Line("tokens", "10", "0.01", 1, "0.1"),
        Line("images", "1", "2.5", 1, "2.5"),
        Line("cap", "1", "0", 1, "-3.6"),
    )
    assert (second.base, second.token, second.bonus, second.quantity, second.total) == ("1", "0.1", "4", "-1.1", "4")
    assert (third.total, third.quantity) == ("0", "-6")
    assert third.lines == (Line("tokens", "500", "0.01", 1, "5"), Line("cap", "1", "0", 1, "-6"))
    log.now = DECEMBER
    assert meter(log, event())[0].total == "1"
    assert close(log) == []


def test_a_cap_holds_over_prices_of_the_row_and_counts_only_its_own_row() -> None:
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, CAPPED)
    meter(log, event(plain=700))
    priced(log, Rates("2", "0", "0", cap="9"))
    assert [entry.total for entry in meter(log, event(), event())] == ["1", "0"]
    priced(log, CAPPED, customer_id="acme")
    assert meter(log, event())[0].total == "1"


def test_a_price_without_terms_ends_the_minimum_of_an_open_month_and_counts_in_it() -> None:
    """Else a minimum that was taken away would be owed beside what the month has cost."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("1", "0", "0", minimum="50"))
    meter(log, event())
    meter(log, event(), customer="globex")
    priced(log, Rates("40", "0", "0"))
    assert [entry.total for entry in meter(log, event(), event())] == ["40", "40"]
    meter(log, event(), customer="initech")
    priced(log, Rates("10", "0", "0", cap="100", minimum="60"))
    assert [entry.total for entry in meter(log, event(), event())] == ["10", "9"]
    assert len(open_keys(log)) == 2
    log.now = DECEMBER
    assert close(log) == []
    assert [entry.total for entry in close(log, customer="globex")] == ["49"]


def test_a_price_without_terms_that_charged_last_leaves_no_minimum() -> None:
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("1", "0", "0", minimum="50"))
    meter(log, event())
    priced(log, Rates("2", "0", "0"))
    gone = decided(log, event())
    void(log, gone)
    meter(log, event(), customer="globex")
    assert len(open_keys(log)) == 1
    meter(log, event())
    log.now = DECEMBER
    assert close(log) == []
    assert open_keys(log) == []


def test_a_void_before_the_close_takes_its_event_out_of_the_month() -> None:
    """The cap has room again, the volume and the minimum are computed without it."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, CAPPED)
    gone = decided(log, event(plain=800))
    assert meter(log, event())[0].total == "1"
    (back,) = void(log, gone)
    assert back.total == "-9"
    assert [entry.total for entry in meter(log, event(plain=800), event())] == ["9", "0"]


def test_a_capped_event_can_be_voided() -> None:
    """Its void takes back what it cost, with the line of the cap."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, CAPPED)
    (back,) = void(log, decided(log, event(plain=2000)))
    assert (back.total, back.quantity) == ("-10", "11")
    assert back.lines[-1] == Line("cap", "-1", "0", 1, "11") or back.lines[-1] == Line("cap", "1", "0", 1, "11")


def test_a_month_whose_events_are_all_voided_owes_no_minimum() -> None:
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, msgspec.structs.replace(VOLUME, minimum="100"))
    void(log, decided(log, event(900)))
    assert open_keys(log) == []
    log.now = DECEMBER
    assert close(log) == []


def test_a_void_after_the_close_leaves_the_adjustment() -> None:
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, VOLUME)
    gone = decided(log, event(2000))
    log.now = DECEMBER
    assert [entry.total for entry in close(log)] == ["-0.2"]
    assert [entry.total for entry in void(log, gone)] == ["-5.6"]
    assert open_keys(log) == []


def test_a_quantity_that_is_not_exact_at_every_step_is_refused() -> None:
    """Else the close of the month would have to round."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    tiers = (Tiers("images", (Step("1", "1"), Step(None, "0.000000000001"))),)
    priced(log, Rates("0", "0", "0", tiers=tiers, tier_mode="volume"))
    (entry,) = meter(log, event(images="0.5"))
    assert (entry.kind, entry.reason) == (
        "rejected",
        "quantities.images must cost at most 12 decimals of a cent at every step of its price",
    )


def test_prepaid_credit_pays_an_adjustment_and_no_budget_counts_it() -> None:
    """A minimum draws grants; a negative adjustment gives nothing back and lowers what is due."""
    log = MemoryShard(1)
    log.now = NOVEMBER
    log.append(b"acme", GrantCredit("acme", "8", "paid"))
    log.append(b"acme", CreateBudget("acme", "all", "total", "5", True))
    priced(log, Rates("1", "0", "0", minimum="9.5"))
    meter(log, event())
    log.now = DECEMBER
    (entry,) = close(log)
    assert (entry.total, entry.credit, [draw.cents for draw in entry.draws]) == ("8.5", "7", ["7"])
    assert msgspec.json.decode(entry.detail)["due_cents"] == 1.5
    priced(log, VOLUME)
    assert meter(log, event(2000))[0].kind == "rejected"
    priced(log, Rates("4", "0", "0"))
    assert meter(log, event())[0].total == "4"


@pytest.mark.parametrize(
    ("rates", "error"),
    [
        (Rates("1", "0", "0", tier_mode="volume"), "tier_mode must not be volume without tiers"),
        (
            msgspec.structs.replace(VOLUME, cap="1"),
            "cap_cents must not be given together with tier_mode volume",
        ),
        (Rates("1", "0", "0", cap="1", minimum="1.01"), "cap_cents must be at least minimum_cents"),
        (Rates("1", "0", "0", cap="-1"), "cap_cents must be from 0 to 1000000000000 cents"),
        (Rates("1", "0", "0", minimum="x"), "minimum_cents: 'x' is not an amount in cents"),
        (
            Rates("1", "0", "0", (QuantityRate("cap", "1"),), cap="1"),
            "cap_cents must not be given together with a rate for a quantity of the name cap",
        ),
        (
            Rates("1", "0", "0", (QuantityRate("minimum", "1"),), minimum="1"),
            "minimum_cents must not be given together with a rate for a quantity of the name minimum",
        ),
    ],
)
def test_terms_that_contradict_each_other_name_the_field(rates: Rates, error: str) -> None:
    with pytest.raises(MoneyError) as raised:
        canonical_rates(rates)
    assert str(raised.value) == error


def test_a_plain_price_keeps_no_month() -> None:
    log = MemoryShard(1)
    log.now = NOVEMBER
    priced(log, Rates("1", "0", "0"))
    decision = decided(log, event())
    assert open_keys(log) == []
    assert b"tier_mode" not in log.raw[0][0].value
    assert decision.changes == ()


def D(text: str) -> Decimal:
    return Decimal(text)


PRICES: list[tuple[Rates, Terms]] = [
    (
        msgspec.structs.replace(VOLUME, minimum="20"),
        Terms(
            token=D("0.0004"),
            tiers={
                "event": [(D("2"), D("5")), (None, D("3"))],
                "images": [(D("1.5"), D("2")), (None, D("0.5"))],
                "input": [(D("1000"), D("0.0003")), (None, D("0.0002"))],
            },
            volume=True,
            minimum=D("20"),
        ),
    ),
    (
        Rates(
            "1",
            "0.01",
            "4",
            (QuantityRate("images", "1.25"),),
            tiers=(Tiers("input", (Step("800", "0.002"), Step(None, "0.004"))),),
            tier_mode="volume",
        ),
        Terms(
            base=D("1"),
            token=D("0.01"),
            bonus=D("4"),
            rates={"images": D("1.25")},
            tiers={"input": [(D("800"), D("0.002")), (None, D("0.004"))]},
            volume=True,
        ),
    ),
    (
        msgspec.structs.replace(CAPPED, cap="30", minimum="12.5"),
        Terms(
            base=D("1"),
            token=D("0.01"),
            bonus=D("4"),
            rates={"images": D("2.5")},
            minimum=D("12.5"),
            cap=D("30"),
        ),
    ),
    (
        Rates("0", "0.0004", "2", tiers=TIERS, cap="25.55"),
        Terms(
            token=D("0.0004"),
            bonus=D("2"),
            tiers={
                "event": [(D("2"), D("5")), (None, D("3"))],
                "images": [(D("1.5"), D("2")), (None, D("0.5"))],
                "input": [(D("1000"), D("0.0003")), (None, D("0.0002"))],
            },
            cap=D("25.55"),
        ),
    ),
    (Rates("2", "0.001", "0", ignore_unknown=True), Terms(base=D("2"), token=D("0.001"), rates={"images": D("0")})),
]
CUSTOMERS = ("acme", "globex")


class Months(RuleBasedStateMachine):
    """Events, batches, repeats, voids, price changes and billing anchors over months, with a hard budget and prepaid
    credit."""

    def __init__(self) -> None:
        super().__init__()
        self.log = MemoryShard(1)
        self.log.now = NOVEMBER
        self.model = MonthModel()
        self.anchors = AnchorModels()
        self.price, self.terms = 0, PRICES[0][1]
        self.budget: dict[str, Decimal] = {}
        self.spent: dict[tuple[str, str], Decimal] = {}
        self.credit: dict[str, Decimal] = {}
        self.given: dict[str, list[Decimal]] = {}
        self.charged: list[tuple[Metered, Decision, int]] = []

    @initialize(number=st.integers(0, len(PRICES) - 1))
    def begin(self, number: int) -> None:
        self.set_price(number)

    @rule(number=st.integers(0, len(PRICES) - 1))
    def set_price(self, number: int) -> None:
        rates, self.terms = PRICES[number]
        priced(self.log, rates)
        self.price += 1

    @rule(customer=st.sampled_from(CUSTOMERS), limit=st.sampled_from(["15", "60.5"]))
    def limit(self, customer: str, limit: str) -> None:
        if customer not in self.budget:
            self.log.append(customer.encode(), CreateBudget(customer, "all", "month", limit, True))
            self.budget[customer] = Decimal(limit)
            self.spent[customer, month_of(self.log.now)] = Decimal(0)

    @rule(customer=st.sampled_from(CUSTOMERS), cents=st.sampled_from(["7", "33.3"]))
    def grant(self, customer: str, cents: str) -> None:
        self.log.append(customer.encode(), GrantCredit(customer, cents, "paid"))
        self.credit[customer] = self.credit.get(customer, Decimal(0)) + Decimal(cents)

    @rule(customer=st.sampled_from(CUSTOMERS), day=st.sampled_from([1, 10, 31]))
    def anchor(self, customer: str, day: int) -> None:
        """Budgets keep their calendar months."""
        self.log.append(customer.encode(), SetBillingAnchor(customer, day))
        self.anchors.set(customer, day, self.log.now)

    def period(self, customer: str) -> str:
        return self.anchors.period(customer, self.log.now).name

    @rule(days=st.sampled_from([1, 9, 21]))
    def wait(self, days: int) -> None:
        self.log.now += days * 86_400_000

    @rule(
        customer=st.sampled_from(CUSTOMERS),
        test=st.sampled_from([False, False, True]),
        rows=st.lists(
            st.tuples(
                st.sampled_from([None, 0, 1, 400, 1000, 2500]),
                st.sampled_from([None, "0", "0.5", "1.5", "7.25"]),
                st.sampled_from([0, 10, 250]),
                st.booleans(),
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def meter(self, customer: str, test: bool, rows: list[tuple[int | None, str | None, int, bool]]) -> None:
        owner, month = (customer, test, self.period(customer)), month_of(self.log.now)
        wanted: list[Metered] = []
        before = len(self.model.events)
        spending = Decimal(0)
        refused = False
        limit = None if test else self.budget.get(customer)
        room = None if limit is None else limit - self.spent.get((customer, month), Decimal(0))
        for input, images, plain, success in rows:
            quantities = {} if input is None else {"input": Decimal(input)}
            if images is not None:
                quantities["images"] = Decimal(images)
            rest = plain if input is None else 0
            one = Metered(owner, self.price, self.terms, quantities, rest, success)
            one.cost = self.model.cost(one)
            if room is not None and one.cost and spending + one.cost > room:
                refused = True
                continue
            spending += one.cost
            wanted.append(one)
            self.model.add(one)
        number = len(self.log.raw[0])
        sent = [
            event(input, images, plain, outcome="success" if success else None, idempotency_key=f"key-{number}-{index}")
            for index, (input, images, plain, success) in enumerate(rows)
        ]
        decision = decided(self.log, *sent, customer=customer, test=test)
        found = [entry for entry in written(decision) if entry.kind != "config"]
        if refused:
            del self.model.events[before:]
            assert {entry.kind for entry in found} == {"rejected"}
            return
        assert [Decimal(entry.total) for entry in found] == [one.cost for one in wanted]
        for entry in found:
            lines = sum((Decimal(line.cents) for line in entry.lines), Decimal(0))
            assert not entry.lines or lines == Decimal(entry.token) + Decimal(entry.quantity)
            parts = (entry.base, entry.token, entry.bonus, entry.quantity)
            assert sum(map(Decimal, parts)) == Decimal(entry.total)
        if not test:
            if limit is not None:
                key = customer, month
                self.spent[key] = self.spent.get(key, Decimal(0)) + spending
            for entry, one in zip(found, wanted, strict=True):
                self.draw(customer, entry, one.cost)
        self.charged += [(one, decision, entry.index) for entry, one in zip(found, wanted, strict=True)]

    @precondition(lambda self: self.charged)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """A retry is answered again and changes nothing, as long as the shard knows its key."""
        _, decision, _ = data.draw(st.sampled_from(self.charged))
        assert decision.entries is not None
        offset = entries.decode(decision.entries).raw_offset
        sent = self.log.raw[0][offset]
        if self.log.now - sent.at >= RETENTION:
            return
        again = self.log.append_value(0, sent.key, sent.value)
        assert again.entries is None
        assert again.changes == ()

    def draw(self, customer: str, entry: Entry, cost: Decimal) -> None:
        if customer not in self.credit:
            assert entry.credit is None
            return
        paid = min(max(cost, Decimal(0)), self.credit[customer])
        assert Decimal(entry.credit or "x") == paid
        self.credit[customer] -= paid

    @precondition(lambda self: self.charged)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        metered, decision, index = self.charged.pop(data.draw(st.integers(0, len(self.charged) - 1)))
        entry = written(decision)[index]
        (back,) = void(self.log, decision, index)
        assert Decimal(back.total) == -metered.cost
        if metered.owner not in self.model.closed:
            metered.voided = True
        customer, test, _ = metered.owner
        assert decision.entries is not None
        month = month_of(entries.decode(decision.entries).recorded_at)
        if not test:
            if entry.credit is not None:
                self.credit[customer] += Decimal(entry.credit)
            counted = customer in self.budget and month == month_of(self.log.now) and self.counted(decision, customer)
            if counted:
                key = customer, month
                self.spent[key] = max(self.spent.get(key, Decimal(0)) - metered.cost, Decimal(0))

    def counted(self, decision: Decision, customer: str) -> bool:
        """True if the customer's budget was there before the event."""
        assert decision.entries is not None
        made = entries.decode(decision.entries)
        return any(
            record.offset < made.raw_offset and b'"budget.create"' in record.value and record.key == customer.encode()
            for record in self.log.raw[0]
        )

    @rule(early=st.booleans())
    def close(self, early: bool) -> None:
        """Send the notices that the expirer sends, of every month that is open in the state."""
        for key in open_keys(self.log):
            stored = self.log.shards[0].get(key)
            assert stored is not None
            month = open_months.decode(stored)
            now = self.period(month.customer_id)
            if month.month == now and not early:
                continue
            owner = month.customer_id, month.test, month.month
            found = close(self.log, month.month, month.customer_id, test=month.test)
            if month.month == now:
                assert found == []
                continue
            wanted = self.model.close(owner)
            assert [Decimal(entry.total) for entry in found] == ([wanted] if wanted else [])
            for entry in found:
                assert sum(Decimal(line.cents) for line in entry.lines) == wanted
                if not month.test:
                    self.draw(month.customer_id, entry, wanted)

    @invariant()
    def the_open_months_are_those_with_events(self) -> None:
        found = set()
        for _, stored in self.log.shards[0].scan(MONTH_PREFIX):
            month = open_months.decode(stored)
            found.add((month.customer_id, month.test, month.month))
        assert sorted(found) == self.model.open()


TestMonths = Months.TestCase
TestMonths.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
