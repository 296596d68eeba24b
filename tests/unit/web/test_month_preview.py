"""The preview of a price that counts a month: the pricer's own charges for the same events, and the page."""

from collections import defaultdict
from random import Random
from typing import Any

import pytest

from pricer.memory import MemoryShard
from schemas.commands import MeterEvent, Rates
from schemas.config import Price
from schemas.limits import DAY
from schemas.money import MoneyError, parse_cents
from schemas.objects import price_object
from schemas.price_match import PriceSlot
from schemas.quantities import QuantityRate, format_quantity, parse_quantity
from schemas.rate_rules import canonical_rates
from schemas.tiers import Step, Tiers
from tests.unit.pricer.test_months import DECEMBER, NOVEMBER, close, meter, priced
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_prices import ALL, shown
from warehouse.replay import MonthUnitsRow, TooManyCompeting
from warehouse.time_range import TimeRange
from web.exact_json import parsed
from web.views.month_preview import assemble, month_cost
from web.views.price_rows import PriceRow, price_row


def row_of(rates: Rates, customer: str | None = None) -> PriceRow:
    """A row of prices as the page has it, from the API's object of it."""
    price = Price(id=1, number=1, customer_id=customer, action_type="chat", rates=rates, created_at=NOVEMBER)
    return price_row(parsed(bytes(price_object(price)).decode()))


def summed(events: list[MeterEvent], customer: str = "acme", month: str = "2026-11") -> list[MonthUnitsRow]:
    """The rows that the ledger's query returns of these events."""
    groups: dict[tuple[str, ...], list[MeterEvent]] = defaultdict(list)
    for one in events:
        groups[tuple(one.quantities)].append(one)
    return [
        MonthUnitsRow(
            customer=customer,
            month=month,
            names=list(names),
            events=len(some),
            wins=sum(one.outcome == "success" for one in some),
            token_sum=str(sum(one.tokens for one in some)),
            input_sum=str(sum(one.tokens_input or 0 for one in some)),
            output_sum=str(sum(one.tokens_output or 0 for one in some)),
            units=[format_quantity(sum(parse_quantity(one.quantities[name]) for one in some)) for name in names],
            total=str(len(some)),
        )
        for names, some in groups.items()
    ]


def drawn_steps(rng: Random) -> tuple[Step, ...]:
    bounds = sorted(rng.sample(range(1, 40), rng.randrange(3)))
    ends: list[str | None] = [*map(str, bounds), None]
    return tuple(Step(end, str(rng.randrange(9))) for end in ends)


def drawn_rates(rng: Random) -> Rates:
    """Any price that counts a month. Raises MoneyError for terms that exclude each other."""
    names = rng.sample(("input", "cache_read", "images", "event"), rng.randrange(4))
    steps = tuple(Tiers(name, drawn_steps(rng)) for name in names)
    rated = [name for name in ("input", "output", "images") if name not in names and rng.random() < 0.5]
    return canonical_rates(
        Rates(
            str(rng.choice((0, 0, 2))) if "event" not in names else "0",
            rng.choice(("0", "0.0003")),
            rng.choice(("0", "7")),
            tuple(QuantityRate(name, rng.choice(("2.5", "1000")), rng.choice((1, 10**6))) for name in rated),
            ignore_unknown=rng.random() < 0.5,
            tiers=steps,
            tier_mode=rng.choice(("graduated", "volume")),
            minimum=rng.choice((None, None, "3", "500")),
            cap=rng.choice((None, None, "20", "500")),
        )
    )


def drawn_event(rng: Random) -> MeterEvent:
    parts = [rng.choice((None, rng.randrange(30))) for _ in range(2)]
    kinds = {name: rng.choice(("1", "2", "7")) for name in ("cache_read", "images", "pages") if rng.random() < 0.3}
    if "images" in kinds and rng.random() < 0.5:
        kinds["images"] = "1.5"
    split = sum(part or 0 for part in parts) + int(kinds.get("cache_read", "0"))
    has_kinds = parts != [None, None] or "cache_read" in kinds
    tokens = split if has_kinds else rng.randrange(3000)
    outcome = rng.choice((None, "success", "failure"))
    return MeterEvent("a", "chat", tokens, parts[0], parts[1], quantities=kinds, outcome=outcome)


@pytest.mark.parametrize("seed", range(120))
def test_a_month_costs_what_the_pricer_charges_for_it(seed: int) -> None:
    """Event by event and with the adjustment at its close, whatever the terms; what it refuses is refused here, too.

    A row of the customer's own owes its minimum in a month without events, one for everybody does not.
    """
    rng = Random(seed)
    owner = "acme" if seed % 3 == 0 else None
    while True:
        try:
            rates = drawn_rates(rng)
        except MoneyError:
            continue
        break
    log = MemoryShard(1)
    log.now = NOVEMBER - 1
    priced(log, rates, customer_id=owner)
    log.now = NOVEMBER
    events = [drawn_event(rng) for _ in range(rng.randrange(12))]
    entries = [entry for one in events for entry in meter(log, one)]
    taken = [entry for entry in entries if entry.kind == "event"]
    so_far = sum(parse_cents(entry.total) for entry in taken)
    log.now = DECEMBER
    close(log, "2026-10", own=owner is not None)
    settled = sum(parse_cents(entry.total) for entry in close(log, own=owner is not None))
    price, rows = row_of(rates, owner), summed(events)
    preview = assemble(price, rows, "2026-12", {})
    assert sum(line.replayed for line in preview.months) == so_far + settled
    assert preview.refused == len(events) - len(taken)
    if not price.is_volume:
        open_months = [line for line in assemble(price, rows, "2026-11", {}).months if line.is_open]
        assert sum(line.replayed for line in open_months) == so_far


def test_nothing_used_owes_no_minimum() -> None:
    assert month_cost(row_of(Rates("1", "0", "0", minimum="50")), [], is_open=False) == 0


def test_customers_and_months_are_apart() -> None:
    """A cap and a minimum are each customer's and each month's."""
    price = row_of(Rates("10", "0", "0", cap="25", minimum="15"))
    events = [MeterEvent("a", "chat", 0)] * 3
    rows = summed(events) + summed(events[:1], "b") + summed(events[:1], "b", "2026-12")
    view = assemble(price, rows, "2026-12", {"b": "Bee"})
    pico = 10**12
    assert [(one.month, one.is_open, one.customers, one.replayed) for one in view.months] == [
        ("2026-11", False, 2, 40 * pico),
        ("2026-12", True, 1, 10 * pico),
    ]
    assert [(line.name, line.actual, line.replayed) for line in view.customers] == [
        ("Bee", 2 * pico, 25 * pico),
        ("acme", 3 * pico, 25 * pico),
    ]


async def test_the_page_shows_both_months(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = FakeGateway(server, monkeypatch)
    gateway.answers[ALL] = {"configs": [shown(1), shown(2, customer_id="big")], "next_cursor": None}
    server.replay.months = summed([MeterEvent("a", "chat", 0, quantities={"pages": "2000"})], "<b>", "2026-03")
    server.replay.months += summed([MeterEvent("a", "chat", 0, quantities={"other": "1"})], "<b>", "2026-04")
    typed = {"action_type": "chat", "stepped_1": "pages", "steps_1": "up to 1,000: $0.00\nthen: $0.05", "cap": "40"}
    status, _, text = await server.submit("/prices/preview", **typed, step="preview")
    assert status == 200 and "so far" in text and "$40.00" in text and "&lt;b&gt;" in text
    assert "1 event would be refused" in text and server.replay.asked == []
    ((slot, in_force, time),) = server.replay.months_asked
    assert slot == PriceSlot(None, "chat", None, None) and len(in_force) == 2
    assert time == TimeRange(NOW - 25 * DAY - DAY // 2 - 31 * DAY, NOW)
    server.replay.months = []
    _, _, text = await server.submit("/prices/preview", **typed, step="preview")
    assert "No event of last month or this one" in text
    server.replay.error = TooManyCompeting("changes compete")
    assert (await server.submit("/prices/preview", **typed, step="preview"))[0] == 400


def test_many_customers_are_summed_up() -> None:
    price = row_of(Rates("10", "0", "0", cap="25"))
    rows: list[Any] = []
    for number in range(30):
        rows += summed([MeterEvent("a", "chat", 0)] * (number + 1), f"c{number:02}")
    lines = assemble(price, rows, "2026-12", {}).customers
    assert lines[-1].name == "all others" and sum(line.events for line in lines) == sum(range(31))
