"""Events that come in before their price: single rules, then the pricer against a Decimal model written apart."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pricer.memory import MemoryShard
from schemas import entries, unpriced
from schemas.commands import (
    ChargeUnpriced,
    CreateBudget,
    DeletePrice,
    GrantCredit,
    Meter,
    MeterEvent,
    Rates,
    SetPrice,
)
from schemas.entries import Entry
from schemas.ids import event_id
from schemas.quantities import Line, QuantityRate
from schemas.replies import BatchChargedReply, RefusedReply
from schemas.tiers import Step, Tiers
from schemas.unpriced import NO_PRICE, UNPRICED_PREFIX
from streams.types import Decision
from tests.unit.pricer.voiding import void_command

NOVEMBER = 1_793_491_200_000
"""The first ms of November 2026, UTC."""
WINDOW = 10**9


def shard() -> MemoryShard:
    log = MemoryShard(1)
    log.now = NOVEMBER
    return log


def priced(log: MemoryShard, rates: Rates, action: str = "chat", **slot: Any) -> None:
    log.append(b"_config", SetPrice(action, rates, **slot))


def send(
    log: MemoryShard, *events: MeterEvent, customer: str = "acme", test: bool = False, accept: bool = True, **more: Any
) -> Decision:
    """Meter events of a dialect."""
    command = Meter(
        customer,
        1,
        list(events),
        WINDOW,
        1000,
        batch=True,
        test=test,
        mode="test" if test else "live",
        unpriced="accept" if accept else "refuse",
        **more,
    )
    return log.append(customer.encode(), command)


def written(decision: Decision) -> list[Entry]:
    return [] if decision.entries is None else entries.decode(decision.entries).entries


def waiting(log: MemoryShard) -> list[int]:
    return [int(key[len(UNPRICED_PREFIX) :]) for key, _ in log.shards[0].scan(UNPRICED_PREFIX)]


def charge(log: MemoryShard, *ids: int, customer: str = "acme", key: int = 1, test: bool = False) -> list[Entry]:
    """Charge events, all that wait by default, as the expirer asks for it."""
    named = list(ids) or waiting(log)
    return written(log.append(customer.encode(), ChargeUnpriced(customer, key, named, test))) if named else []


def id_of(decision: Decision, index: int = 0) -> int:
    assert decision.entries is not None
    return event_id(0, entries.decode(decision.entries).raw_offset, index)


def void(log: MemoryShard, decision: Decision, index: int = 0) -> Decision:
    """Void one event of a decision, as the gateway does it from the ledger."""
    command = void_command(decision, index)
    return log.append(command.customer_id.encode(), command)


def test_an_event_without_a_price_is_recorded_at_0_and_charged_once_its_price_is_set() -> None:
    """The adjustment has the parts, the lines and the time of the event; the tokens stay with the event."""
    log = shard()
    event = MeterEvent("bot", "chat", 2000, event_time=NOVEMBER - 5, model="m", trace_id="t", idempotency_key="k")
    sent = send(log, event)
    (first,) = written(sent)
    assert (first.kind, first.total, first.body_hash is not None) == ("event", "0", True)
    assert entries.decode(sent.entries or b"").prices == [NO_PRICE]
    assert isinstance(sent.reply, BatchChargedReply)
    assert sent.reply.totals == ["0"]
    assert charge(log) == []
    log.now += 1000
    priced(log, Rates("1.5", "0.01", "0"))
    (entry,) = charge(log)
    assert (entry.kind, entry.original, entry.base, entry.token, entry.total) == (
        "adjustment", id_of(sent), "1.5", "20", "21.5",
    )  # fmt: skip
    assert entry.lines == (Line("tokens", "2000", "0.01", 1, "20"),)
    assert entry.event == MeterEvent("bot", "chat", event_time=NOVEMBER - 5, model="m", trace_id="t")
    shown = msgspec.json.decode(entry.detail)
    assert (shown["charged_event_id"], shown["price_id"], shown["total_cents"]) == (id_of(sent), 1, 21.5)
    assert "credit_cents" not in shown
    assert waiting(log) == []


def test_a_repeat_of_the_notice_or_of_the_event_charges_nothing() -> None:
    log = shard()
    event = MeterEvent("bot", "chat", 7, idempotency_key="k")
    id = id_of(send(log, event))
    priced(log, Rates("1", "0", "0"))
    assert [entry.total for entry in charge(log, id, id)] == ["1"]
    assert charge(log, id) == []
    again = send(log, event)
    assert written(again) == []
    assert isinstance(again.reply, BatchChargedReply)
    assert again.reply.replayed == {0: id}
    assert charge(log, id) == []


def test_only_what_asks_for_it_is_recorded_and_the_rest_is_refused_as_before() -> None:
    """POST /v1/meter refuses; so are an outcome that opens and what settles a reservation, with any command."""
    log = shard()
    for event, accept in (
        (MeterEvent("bot", "chat"), False),
        (MeterEvent("bot", "chat", outcome="pending"), True),
        (MeterEvent("bot", "chat", reservation_id="rs_1"), True),
        (MeterEvent("bot", "outcome_charge"), True),
    ):
        decision = send(log, event, accept=accept)
        assert isinstance(decision.reply, RefusedReply)
        assert [entry.kind for entry in written(decision)] == ["rejected"]
    assert waiting(log) == []


def test_a_batch_mixes_events_with_and_without_a_price() -> None:
    log = shard()
    priced(log, Rates("2", "0", "0"), "search")
    sent = send(log, MeterEvent("bot", "chat"), MeterEvent("bot", "search"), MeterEvent("bot", "chat"))
    assert [entry.total for entry in written(sent)] == ["0", "2", "0"]
    priced(log, Rates("1", "0", "0"), "*")
    assert [(entry.original, entry.total) for entry in charge(log)] == [(id_of(sent), "1"), (id_of(sent, 2), "1")]


def test_a_notice_takes_only_events_of_its_customer_key_and_mode() -> None:
    log = shard()
    mine, theirs = id_of(send(log, MeterEvent("bot", "chat"))), id_of(send(log, MeterEvent("b", "chat"), customer="b"))
    tested = id_of(send(log, MeterEvent("bot", "chat"), test=True))
    priced(log, Rates("1", "0", "0"))
    assert charge(log, theirs, tested, 12345) == []
    assert charge(log, mine, key=2) == []
    assert [entry.original for entry in charge(log, mine, theirs, tested)] == [mine]
    assert [entry.original for entry in charge(log, tested, test=True)] == [tested]


def test_a_price_that_cannot_charge_an_event_leaves_it_waiting() -> None:
    """A quantity without a rate holds up nothing else; a later price of the row charges it."""
    log = shard()
    sent = send(log, MeterEvent("bot", "chat", quantities={"value": "3"}), MeterEvent("bot", "chat"))
    priced(log, Rates("1", "0", "0"))
    assert [entry.original for entry in charge(log)] == [id_of(sent, 1)]
    priced(log, Rates("1", "0", "0", (QuantityRate("value", "0.5"),)))
    (entry,) = charge(log)
    assert (entry.original, entry.total, entry.lines) == (id_of(sent), "2.5", (Line("value", "3", "0.5", 1, "1.5"),))


def test_a_voided_event_is_not_charged_and_a_charged_one_cannot_be_voided() -> None:
    log = shard()
    sent = send(log, MeterEvent("bot", "chat", 5), MeterEvent("bot", "chat", 6))
    assert [entry.total for entry in written(void(log, sent))] == ["0"]
    priced(log, Rates("1", "0", "0"))
    assert [entry.original for entry in charge(log, id_of(sent), id_of(sent, 1))] == [id_of(sent, 1)]
    refused = void(log, sent, 1).reply
    assert isinstance(refused, RefusedReply)
    assert (refused.status, refused.code) == (409, "not_voidable")
    assert void(log, sent).reply is not None
    assert written(void(log, sent)) == []


def test_credit_pays_and_no_budget_counts_or_refuses() -> None:
    """Grants are drawn in the order of the notice; what they do not cover is due, whatever the budgets say."""
    log = shard()
    log.append(b"acme", GrantCredit("acme", "5", "promised"))
    log.append(b"acme", CreateBudget("acme", "all", "total", "1", hard=True))
    sent = send(log, *[MeterEvent("bot", "chat")] * 3, on_empty="refuse")
    assert [entry.credit for entry in written(sent)] == ["0", "0", "0"]
    priced(log, Rates("2", "0", "0"))
    charged = charge(log)
    assert [(entry.total, entry.credit, len(entry.draws)) for entry in charged] == [
        ("2", "2", 1), ("2", "2", 1), ("2", "1", 1),
    ]  # fmt: skip
    assert msgspec.json.decode(charged[2].detail)["due_cents"] == 1
    priced(log, Rates("1", "0", "0"))
    assert written(send(log, MeterEvent("bot", "chat")))[0].total == "1"


def test_steps_and_a_cap_are_those_of_the_month_in_which_it_is_charged() -> None:
    log = shard()
    send(log, *[MeterEvent("bot", "chat", 10)] * 3)
    priced(log, Rates("0", "0.1", "0", tiers=(Tiers("event", (Step("2", "5"), Step(None, "1"))),)))
    charged = charge(log)
    assert [(entry.base, entry.total) for entry in charged] == [("5", "6"), ("5", "6"), ("1", "2")]
    assert written(send(log, MeterEvent("bot", "chat")))[0].base == "1"
    send(log, *[MeterEvent("bot", "image")] * 3)
    priced(log, Rates("4", "0", "0", cap="6"), "image")
    assert [entry.total for entry in charge(log)] == ["4", "2", "0"]


def test_a_bonus_is_charged_and_an_event_of_0_cents_is_settled_too() -> None:
    log = shard()
    send(log, MeterEvent("bot", "chat", outcome="success"))
    send(log, MeterEvent("bot", "free"))
    priced(log, Rates("1", "0", "9"))
    priced(log, Rates("0", "0", "0"), "free")
    assert [(entry.bonus, entry.total) for entry in charge(log)] == [("9", "10"), ("0", "0")]
    assert waiting(log) == []


@pytest.mark.parametrize("ids", [[], list(range(unpriced.MAX_CHARGED + 1))])
def test_a_notice_that_no_expirer_writes_is_an_error(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="a notice of"):
        shard().append(b"acme", ChargeUnpriced("acme", 1, ids))


def test_a_notice_weighs_as_many_events_as_it_names() -> None:
    log = shard()
    for count in (1, 7, unpriced.MAX_CHARGED):
        log.append(b"acme", ChargeUnpriced("acme", 1, list(range(count))))
        assert count <= log.pricer.weight(log.raw[0][-1]) <= count + 3


CENTS = st.sampled_from(["0", "0.25", "1", "3"])
EVENTS = st.builds(
    MeterEvent,
    st.just("bot"),
    st.sampled_from(["chat", "image"]),
    st.sampled_from([0, 1, 40]),
    outcome=st.sampled_from([None, "success", "failure"]),
    model=st.sampled_from([None, "small"]),
    quantities=st.sampled_from([{}, {}, {"images": "1.5"}]),
)


class Unpriced(RuleBasedStateMachine):
    """Random events, prices, notices and voids. The model knows what every event costs by the prices as they are and
    keeps a plain list; what all entries add up to is compared after each step."""

    @initialize()
    def begin(self) -> None:
        self.log = shard()
        self.prices: dict[tuple[str | None, str, str | None], Rates] = {}
        self.kept: dict[int, MeterEvent] = {}
        self.decisions: list[tuple[Decision, int]] = []
        self.voided: set[int] = set()
        self.total = Decimal(0)

    def cost(self, event: MeterEvent) -> Decimal | None:
        """What an event costs now; None if nothing can charge it."""
        slots = [(customer, event.action, model) for customer in ("acme", None) for model in (event.model, None)]
        rates = next((self.prices[slot] for slot in slots if slot in self.prices), None)
        if rates is None:
            return None
        cents = Decimal(rates.base) + event.tokens * Decimal(rates.token)
        cents += Decimal(rates.bonus) if event.outcome == "success" else 0
        named = {one.name: Decimal(one.rate) / one.per for one in rates.quantities}
        for name, text in event.quantities.items():
            if name not in named:
                return None
            cents += Decimal(text) * named[name]
        return cents

    def matched(self, event: MeterEvent) -> bool:
        slots = [(customer, event.action, model) for customer in ("acme", None) for model in (event.model, None)]
        return any(slot in self.prices for slot in slots)

    @rule(
        base=CENTS, token=CENTS, bonus=CENTS, action=st.sampled_from(["chat", "image"]),
        own=st.booleans(), model=st.sampled_from([None, "small"]), rated=st.booleans(),
    )  # fmt: skip
    def set_price(
        self, base: str, token: str, bonus: str, action: str, own: bool, model: str | None, rated: bool
    ) -> None:
        rates = Rates(base, token, bonus, (QuantityRate("images", "4"),) if rated else ())
        customer = "acme" if own else None
        priced(self.log, rates, action, customer_id=customer, model=model)
        self.prices[customer, action, model] = rates

    @precondition(lambda self: self.prices)
    @rule(data=st.data())
    def end_price(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.prices, key=str)))
        del self.prices[slot]
        shown = [msgspec.json.decode(value) for key, value in self.log.view.items() if key.startswith(b"price/")]
        id = next(
            one["id"]
            for one in sorted(shown, key=lambda one: -one["id"])
            if (one.get("customer_id"), one["action_type"], one.get("model")) == slot
        )
        self.log.append(b"_config", DeletePrice(id))

    @rule(events=st.lists(EVENTS, min_size=1, max_size=4), ahead=st.integers(0, 5))
    def send(self, events: list[MeterEvent], ahead: int) -> None:
        self.log.now += ahead
        costs = [self.cost(event) for event in events]
        decision = send(self.log, *events)
        if any(cost is None and self.matched(event) for cost, event in zip(costs, events, strict=True)):
            assert isinstance(decision.reply, RefusedReply)
            return
        for index, (event, cost) in enumerate(zip(events, costs, strict=True)):
            self.decisions.append((decision, index))
            if cost is None:
                self.kept[id_of(decision, index)] = event
            self.total += cost or 0

    @precondition(lambda self: self.decisions)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        decision, index = data.draw(st.sampled_from(self.decisions))
        id = id_of(decision, index)
        entry = written(decision)[index]
        was_unpriced = entries.decode(decision.entries or b"").prices[entry.price] == NO_PRICE
        made = void(self.log, decision, index)
        if was_unpriced and id not in self.kept and id not in self.voided:
            assert isinstance(made.reply, RefusedReply)
            return
        if id not in self.voided:
            self.total -= Decimal(entry.total)
        self.voided.add(id)
        self.kept.pop(id, None)

    @precondition(lambda self: self.decisions)
    @rule(data=st.data())
    def notice(self, data: st.DataObject) -> None:
        named = data.draw(st.lists(st.sampled_from([id_of(*one) for one in self.decisions]), min_size=1, max_size=6))
        charged = {entry.original: Decimal(entry.total) for entry in charge(self.log, *named)}
        wanted = {id: cost for id in named if id in self.kept and (cost := self.cost(self.kept[id])) is not None}
        assert charged == wanted
        for id in wanted:
            del self.kept[id]
        self.total += sum(wanted.values())

    @invariant()
    def adds_up(self) -> None:
        if hasattr(self, "log"):
            assert waiting(self.log) == sorted(self.kept, key=str)
            records = [entries.decode(record.value) for record in self.log.entries[0]]
            assert sum((Decimal(entry.total) for one in records for entry in one.entries), Decimal(0)) == self.total


TestUnpriced = Unpriced.TestCase
TestUnpriced.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
