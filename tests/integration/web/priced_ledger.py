"""A ledger of priced events made from a seed, and its replay in plain Python with the pricer's own arithmetic."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from pricer.prices import Amounts, NotPriced, ParsedPrice, amounts, at_count, parsed_price
from schemas.billing_anchors import Anchors, period_at
from schemas.commands import MeterEvent, Rates
from schemas.ids import event_id
from schemas.limits import DAY, MAX_TOKENS
from schemas.money import parse_cents
from schemas.price_match import PriceSlot, candidates
from schemas.quantities import EVENT, TOKEN_KINDS, QuantityRate, all_quantities, parse_quantity
from schemas.rate_rules import canonical_rates
from schemas.state import InstalledPrice, encode
from schemas.tiers import Step, Tiers
from tests.integration.reads.generated import NOW
from warehouse.ledger_row import LedgerRow
from warehouse.replay import ChangedPrice
from warehouse.time_range import TimeRange

CUSTOMERS, ACTIONS = ["acme", "it's", "naïve ☃"], ["chat", "tool call", "a\\b"]
MODELS, PROVIDERS = [None, "m1", "m2"], [None, "p1"]
NAMES = [*TOKEN_KINDS, "images", "seconds"]
WHOLE = TimeRange(NOW - 30 * DAY, NOW)


class Sums(NamedTuple):
    """As warehouse.replay.ReplayRow; money in pico-cents."""

    events: int = 0
    repriced: int = 0
    refused: int = 0
    waiting: int = 0
    actual: int = 0
    replayed: int = 0
    waiting_actual: int = 0
    waiting_replayed: int = 0


class PricedLedger(NamedTuple):
    rows: list[LedgerRow]
    in_force: dict[PriceSlot, Rates]
    anchors: Mapping[str, Anchors]
    """Customers whose billing periods do not begin on the 1st."""


def parsed(rates: Rates) -> ParsedPrice:
    """A price with these rates, as the pricer holds it."""
    return parsed_price(encode(InstalledPrice(id=1, action_type="chat", rates=canonical_rates(rates), offset=0)))


def some_rates(rng: random.Random, awkward: bool, lacking: bool = False, stepped: bool = False) -> Rates:
    """Rates; awkward ones have all decimals or the largest amounts. Those and ``lacking`` ones have no rate for some
    quantities. ``stepped``: some are graduated."""
    texts = ["0", "0.0003", "1.5", "12"] + (["0.000000000001", "0.123456789012", "1000000000"] if awkward else [])
    lacking = lacking or awkward
    kept = [name for name in NAMES if not lacking or rng.random() < 0.7]
    quantities = [QuantityRate(name, rng.choice(texts), 1) for name in kept if name not in TOKEN_KINDS]
    quantities += [
        QuantityRate(name, rng.choice(["250", "25.5"]), 10**6)
        for name in kept
        if name in TOKEN_KINDS and rng.random() < 0.5
    ]
    rates = Rates(
        rng.choice(texts),
        rng.choice(texts),
        rng.choice(texts),
        tuple(quantities),
        ignore_unknown=lacking and rng.random() < 0.3,
    )
    return canonical_rates(_with_steps(rng, rates, texts) if stepped else rates)


def _with_steps(rng: random.Random, rates: Rates, texts: Sequence[str]) -> Rates:
    """The rates with steps for events and some quantities, short enough that events cross several."""
    names = [name for name in (EVENT, *NAMES) if rng.random() < 0.5] or [EVENT]
    tiers = []
    for name in names:
        ends = sorted(
            rng.sample([1, 3, 9, 20] if name == EVENT else [500, 1200, 4000, 20_000, 90_000], rng.randrange(1, 4))
        )
        if name == "seconds":
            ends = [f"{end}.5" for end in ends]
        steps = [Step(None if end is None else str(end), rng.choice(texts)) for end in (*ends, None)]
        tiers.append(Tiers(name, tuple(steps)))
    kept = tuple(rate for rate in rates.quantities if rate.name not in names)
    return replace(rates, base="0" if EVENT in names else rates.base, quantities=kept, tiers=tuple(tiers))


def slots(rng: random.Random, count: int) -> list[PriceSlot]:
    """Different slots, of every shape."""
    found = {
        PriceSlot(
            rng.choice([None, *CUSTOMERS]), rng.choice(["*", *ACTIONS]), rng.choice(MODELS), rng.choice(PROVIDERS)
        )
        for _ in range(count)
    }
    return sorted(found, key=repr)


class Counts:
    """What customers have used of the steps of rows in their billing periods, event by event."""

    def __init__(self, anchors: Mapping[str, Anchors]) -> None:
        self._anchors = anchors
        self._used: dict[tuple[str, bool, str, PriceSlot], dict[str, int]] = defaultdict(dict)

    def priced(
        self, customer: str, test: bool, at: int, event: MeterEvent, slot: PriceSlot, rates: Rates
    ) -> tuple[Amounts | NotPriced, int]:
        """What an event accepted at a time costs, or why it has no price, and the bonus. It counts if it has all
        rates."""
        period = period_at(self._anchors.get(customer, ()), at).name
        used = self._used[customer, test, period, slot]
        price = parsed(rates)
        price = at_count(price, used) if price.event_steps else price
        try:
            found: Amounts | NotPriced = amounts(price, event, dict(used))
        except NotPriced as error:
            found = error
        if not _without_rate(event, rates):
            for tiers in rates.tiers:
                units = "1" if tiers.name == EVENT else all_quantities(event).get(tiers.name, "0")
                used[tiers.name] = used.get(tiers.name, 0) + parse_quantity(units)
        return found, parse_cents(rates.bonus)


def made(seed: int, count: int, stepped: bool = False, anchors: Mapping[str, Anchors] = {}) -> PricedLedger:
    """Events of thirty days at the prices in force, their outcomes, voids, test events and registered outcomes."""
    rng = random.Random(seed)
    in_force = {PriceSlot(None, "*"): some_rates(rng, awkward=False, stepped=stepped)}
    in_force |= {slot: some_rates(rng, awkward=False, stepped=stepped) for slot in slots(rng, 8)}
    counts = Counts(anchors)
    rows: list[LedgerRow] = []
    for offset in range(count):
        event = _event(rng)
        customer, test = rng.choice(CUSTOMERS), rng.random() < 0.1
        slot = matching(in_force, customer, event)
        assert slot is not None
        rates = in_force[slot]
        at = NOW - 31 * DAY + offset * 32 * DAY // count
        recorded_at = at + rng.choice([-60_000, 0, DAY])
        cost, _ = counts.priced(customer, test, recorded_at, event, slot, rates)
        assert not isinstance(cost, NotPriced), cost
        opened = LedgerRow(
            kind="event",
            event_id=event_id(1, 3 * offset),
            customer_id=customer,
            agent_id="agent",
            action=event.action,
            model=event.model or "",
            provider=event.provider or "",
            tokens=event.tokens,
            tokens_input=event.tokens_input,
            tokens_output=event.tokens_output,
            quantities=event.quantities,
            outcome=event.outcome or "",
            total_cents=parse_cents(cost[4]),
            price_bonus=parse_cents(rates.bonus),
            outcome_id=f"oc_{offset}" if event.outcome == "pending" else "",
            on_expiry=event.on_expiry or "",
            test=test,
            event_time=at,
            recorded_at=recorded_at,
        )
        rows.append(opened)
        last = opened
        if event.outcome == "pending" and rng.random() < 0.8:
            last = _closing(rng, opened, rates)
            rows.append(last)
        if rng.random() < 0.15:
            rows.append(_void(rng.choice([opened, last]), offset))
        if rng.random() < 0.05:
            rows.append(replace(opened, kind="charge", action="outcome_charge", event_id=event_id(2, offset)))
    return PricedLedger(rows, in_force, anchors)


def _event(rng: random.Random) -> MeterEvent:
    quantities: dict[str, str] = {}
    fields: dict[str, Any] = {"tokens": rng.choice([0, 7, 2401, MAX_TOKENS // 10**6])}
    if rng.random() < 0.5:
        quantities = {name: str(rng.randrange(1, 5000)) for name in NAMES[2:] if rng.random() < 0.4}
        if rng.random() < 0.3:
            quantities["seconds"] = rng.choice(["0.5", "12.25", "0.000001"])
        if "seconds" in quantities and "." in quantities["seconds"]:
            quantities["seconds"] = "12.25"
        fields = {name: rng.choice([None, 0, 1200]) for name in ("tokens_input", "tokens_output")}
        kinds = [value or 0 for value in fields.values()]
        fields["tokens"] = sum(kinds) + sum(int(quantities.get(name, 0)) for name in TOKEN_KINDS[2:])
    outcome = rng.choice([None, "success", "failure", "pending"])
    return MeterEvent(
        "agent",
        rng.choice(ACTIONS),
        outcome=outcome,
        on_expiry=rng.choice([None, "failure", "success"]) if outcome == "pending" else None,
        model=rng.choice(MODELS),
        provider=rng.choice(PROVIDERS),
        quantities=quantities,
        **fields,
    )


def _closing(rng: random.Random, opened: LedgerRow, rates: Rates) -> LedgerRow:
    verdict = rng.choice(["succeeded", "failed", "expired"])
    earned = verdict == "succeeded" or (verdict == "expired" and opened.on_expiry == "success")
    charge = parse_cents(rates.bonus) if earned else 0
    at = opened.recorded_at + 3 * DAY
    return replace(
        opened,
        kind="charge" if charge else "waived",
        event_id=opened.event_id + (1 << 16),
        original=opened.event_id,
        verdict=verdict,
        total_cents=charge,
        outcome="",
        on_expiry="",
        tokens=0,
        quantities={},
        event_time=at,
        recorded_at=at,
    )


def _void(taken: LedgerRow, offset: int) -> LedgerRow:
    is_charge = taken.kind in ("charge", "waived")
    return replace(
        taken,
        kind="void",
        event_id=event_id(1, 3 * offset + 2),
        original=taken.event_id,
        total_cents=-taken.total_cents,
        config_type="charge" if is_charge else "",
    )


def matching(rates: Collection[PriceSlot], customer: str, event: MeterEvent) -> PriceSlot | None:
    """The row in force for an event."""
    tried = candidates(customer, event.action, event.model, event.provider)
    return next((slot for slot in tried if slot in rates), None)


def event_of(row: LedgerRow) -> MeterEvent:
    """The meter event of a row, as far as its price depends on it."""
    return MeterEvent(
        row.agent_id,
        row.action,
        tokens=row.tokens,
        tokens_input=row.tokens_input,
        tokens_output=row.tokens_output,
        outcome=row.outcome or None,  # type: ignore[arg-type]
        model=row.model or None,
        provider=row.provider or None,
        quantities=row.quantities,
    )


def replayed(
    ledger: PricedLedger, time: TimeRange, customer: str, changes: Sequence[ChangedPrice]
) -> dict[tuple[str, str, str], Sums]:
    """The sums by (part, name, why), each event priced by pricer.prices.amounts."""
    laid: dict[PriceSlot, Rates | None] = dict.fromkeys(ledger.in_force)
    laid |= {change.slot: change.rates for change in changes}
    voided = {row.original for row in ledger.rows if row.kind == "void"}
    closings = {row.original: row for row in ledger.rows if row.kind in ("charge", "waived") and row.original}
    found: dict[tuple[str, str, str], Sums] = defaultdict(Sums)
    counts = Counts(ledger.anchors)
    for row in ledger.rows:
        if row.kind != "event" or row.test or customer not in ("", row.customer_id):
            continue
        event = event_of(row)
        slot = matching(laid, row.customer_id, event)
        rates = None if slot is None else laid[slot]
        # what is voided or outside of the time counts in the steps too
        priced = slot and rates and counts.priced(row.customer_id, False, row.recorded_at, event, slot, rates)
        if row.event_id in voided or not time.start <= row.event_time < time.end:
            continue
        sums, why = _one(row, event, rates, priced, closings.get(row.event_id), voided)
        day = f"{row.event_time // DAY}"
        parts = [("all", "", ""), ("action", row.action, ""), ("customer", row.customer_id, ""), ("day", day, "")]
        for key in [*parts, *([("refused", row.action, why)] if why else [])]:
            found[key] = Sums(*map(sum, zip(found[key], sums, strict=True)))
    return dict(found)


def _one(
    row: LedgerRow,
    event: MeterEvent,
    rates: Rates | None,
    priced: tuple[Amounts | NotPriced, int] | None,
    closing: LedgerRow | None,
    voided: Iterable[int | None],
) -> tuple[Sums, str]:
    taken = closing is not None and closing.event_id in voided
    charge = closing.total_cents if closing is not None and not taken else 0
    waits = event.outcome == "pending" and closing is None
    actual, awaited = row.total_cents + charge, row.price_bonus if waits else 0
    if rates is None or priced is None:
        return Sums(1, 0, 0, waits, actual, actual, awaited, awaited), ""
    cost, bonus = priced
    earns = (
        closing is not None
        and not taken
        and (closing.verdict == "succeeded" or (closing.verdict == "expired" and row.on_expiry == "success"))
    )
    if isinstance(cost, NotPriced):
        return Sums(1, 1, 1, waits, actual, 0, awaited, 0), _why(str(cost), event, rates)
    now = parse_cents(cost[4]) + (bonus if earns else 0)
    return Sums(1, 1, 0, waits, actual, now, awaited, bonus if waits else 0), ""


def _why(message: str, event: MeterEvent, rates: Rates) -> str:
    """The reason as a replay names it: a quantity without a rate before one whose cost has too many decimals."""
    unknown = _without_rate(event, rates)
    if unknown:
        return f"no_rate:{unknown[0]}"
    if "at most 12 decimals" in message:
        return f"too_many_decimals:{message.split(' ')[0].removeprefix('quantities.')}"
    return "too_expensive"


def _without_rate(event: MeterEvent, rates: Rates) -> list[str]:
    """The quantities for which an event is refused."""
    known = {one.name for one in (*rates.quantities, *rates.tiers)}
    unknown = [name for name in all_quantities(event) if name not in known and name not in TOKEN_KINDS]
    return [] if rates.ignore_unknown else unknown
