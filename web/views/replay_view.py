"""What the page /replay shows: the rows to change, and what a replay found. Pure; money in pico-cents."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from schemas.commands import Rates
from schemas.limits import DAY
from schemas.money import PICO, parse_cents
from schemas.price_match import ANY, PriceSlot
from schemas.quantities import QuantityRate
from schemas.tiers import Step, Tiers
from warehouse.replay import ChangedPrice, Replayed, ReplayRow
from warehouse.time_range import TimeRange
from web import formats
from web.data.replay_changes import RATES, cents_of, checked, quantity_rates, tiers_of
from web.data.replay_data import days, others_of, part, whole_of
from web.views import series_chart
from web.views.overview_view import Figure
from web.views.series_chart import BAR, HEIGHT, LEAST, SLOT, TICKS, Segment
from web.web_refusals import invalid

MOST_ROWS = 60
"""Rows of prices that the page shows."""
MOST_LINES = 20
"""Actions and customers that the page shows."""
HALF = 50
"""Percent of a picture on each side of its middle."""
_THEN = re.compile(r",\s*then\s+")
WHY = {
    "no_rate": "no rate for {}",
    "too_many_decimals": "{} would cost more than 12 decimals of a cent",
    "too_expensive": "more than 10^12 cents",
}


class EditableRow(NamedTuple):
    """A row of prices as text; ``slot`` is the JSON of what it is for. ``changed``: not as in force."""

    slot: str
    action: str
    about: str
    base: str
    token: str
    bonus: str
    rates: str
    steps: str
    changed: bool


class ReplayLine(NamedTuple):
    """An action or customer; ``start`` and ``width`` in percent of the picture, whose middle is no difference."""

    name: str
    events: int
    actual: int
    replayed: int
    difference: int
    start: int
    width: int


class RefusedLine(NamedTuple):
    action: str
    why: str
    events: int
    actual: int


class ComparedDay(NamedTuple):
    label: str
    events: int
    actual: int
    replayed: int
    difference: int


class ComparisonChart(NamedTuple):
    """Two bars a day: what was charged, and the replay."""

    width: int
    height: int
    segments: list[Segment]
    days: list[ComparedDay]
    scale: list[str]
    ticks: list[str]


class ReplayResult(NamedTuple):
    figures: list[Figure]
    chart: ComparisonChart
    actions: list[ReplayLine]
    customers: list[ReplayLine]
    refused: list[RefusedLine]
    notes: list[str]


def editable(
    prices: Mapping[PriceSlot, Rates | None], changes: Sequence[ChangedPrice], customer: str
) -> list[EditableRow]:
    """Return the rows to change: new ones first, then those in force for everyone and for the customer."""
    changed = {change.slot: change.rates for change in changes}
    mine = [
        slot
        for slot, rates in prices.items()
        if slot in changed or (rates is not None and slot.customer_id in (None, customer))
    ]
    mine.sort(key=lambda slot: (slot.customer_id is None, slot.action, slot.model or "", slot.provider or ""))
    rows = [*(slot for slot in changed if slot not in prices), *mine][:MOST_ROWS]
    return [_editable(slot, changed.get(slot, prices.get(slot)), changed.get(slot), prices.get(slot)) for slot in rows]


def _editable(slot: PriceSlot, shown: Rates | None, changed: Rates | None, now: Rates | None) -> EditableRow:
    assert shown is not None
    return EditableRow(
        slot=json.dumps(slot),
        action="any action" if slot.action == ANY else slot.action,
        about=about(slot),
        base=shown.base,
        token=shown.token,
        bonus=shown.bonus,
        rates=rates_text(shown.quantities),
        steps=steps_text(shown.tiers),
        changed=changed is not None and changed != now,
    )


def about(slot: PriceSlot) -> str:
    """Return whom and what a row is for, besides its action."""
    parts = [slot.model, slot.provider, slot.customer_id and f"for {slot.customer_id}"]
    return " · ".join(part for part in parts if part)


def rates_text(rates: Sequence[QuantityRate]) -> str:
    """Return the rates of quantities as one text: ``images=1.5, input=250/1000000``."""
    return ", ".join(f"{one.name}={_rate_text(one.rate, one.per)}" for one in rates)


def _rate_text(rate: str, per: int) -> str:
    return rate if per == 1 else f"{rate}/{per}"


def rates_from(text: str, where: str) -> tuple[QuantityRate, ...]:
    """Return the rates that :func:`rates_text` writes. Raises Refusal."""
    given = _by_name(text, ",", _rate_from, f"{where} must be like images=1.5, input=250/1000000")
    return quantity_rates(given, where)


def _by_name(text: str, between: str, read: Callable[[str], Any], wanted: str) -> dict[str, Any]:
    """Return what pieces like ``name=…`` say; ``read`` returns None for one that is not as ``wanted``. Raises
    Refusal."""
    given: dict[str, Any] = {}
    for one in filter(None, (piece.strip() for piece in text.split(between))):
        name, equals, value = (side.strip() for side in one.partition("="))
        found = read(value)
        if not equals or name in given or found is None:
            raise invalid(wanted)
        given[name] = found
    return given


def _rate_from(text: str) -> dict[str, Any] | None:
    """Return a rate as the API takes it, of ``250/1000000`` or ``1.5``; None if it is like neither."""
    amount, slash, per = (side.strip() for side in text.partition("/"))
    if slash and not (per.isascii() and per.isdigit() and len(per) <= 10):
        return None
    return {"rate": amount, "per": int(per) if slash else 1}


def steps_text(tiers: Sequence[Tiers]) -> str:
    """Return graduated steps as one text: ``input=3/1000 to 1000000, then 2/1000; event=0 to 100, then 1.5``."""
    return "; ".join(f"{one.name}={', then '.join(map(_step_text, one.steps))}" for one in tiers)


def _step_text(step: Step) -> str:
    rate = _rate_text(step.rate, step.per)
    return rate if step.up_to is None else f"{rate} to {step.up_to}"


def steps_from(text: str, where: str) -> tuple[Tiers, ...]:
    """Return the steps that :func:`steps_text` writes. Raises Refusal."""
    like = "input=3/1000 to 1000000, then 2/1000; event=0 to 100, then 1.5"
    given = _by_name(text, ";", _steps_of, f"{where} must be like {like}")
    return tiers_of(given, where)


def _steps_of(text: str) -> list[dict[str, Any]] | None:
    given = _THEN.split(text)
    steps = [step for step in map(_step_from, given) if step is not None]
    return steps if len(steps) == len(given) else None


def _step_from(text: str) -> dict[str, Any] | None:
    rate, to, count = (side.strip() for side in text.partition(" to "))
    found = _rate_from(rate)
    return None if found is None or bool(to) != bool(count) else found | {"up_to": count or None}


def rates_of_form(form: Mapping[str, str], number: str, action: str, ignore_unknown: bool) -> Rates | None:
    """Return the rates of a row of the form; None if all its fields are empty. Raises Refusal."""
    texts = [form.get(f"{name}:{number}", "").strip() for name in ("base", "token", "bonus")]
    more, steps = (form.get(f"{name}:{number}", "").strip() for name in ("rates", "steps"))
    if not any(texts) and not more and not steps:
        return None
    base, token, bonus = (
        cents_of(text or None, f"{name} of {action[:80]}") for name, text in zip(RATES, texts, strict=True)
    )
    quantities = rates_from(more, f"rates of {action[:80]}")
    tiers = steps_from(steps, f"steps of {action[:80]}")
    rates = Rates(base, token, bonus, quantities, ignore_unknown, tiers)
    return checked(rates, action[:80]) if tiers else rates


def assemble(found: Replayed, time: TimeRange, names: Mapping[str, str]) -> ReplayResult:
    """Return what a replay found, for the page."""
    whole = whole_of(found)
    actual, replayed = parse_cents(whole.actual), parse_cents(whole.replayed)
    change, _ = formats.change(replayed, actual)
    difference = replayed - actual
    direction = "up" if difference > 0 else "down" if difference else "flat"
    share = formats.percent(whole.repriced, whole.events)
    return ReplayResult(
        figures=[
            Figure("Charged", formats.dollars(actual), formats.cents(actual), note=_events(whole.events)),
            Figure("Replayed", formats.dollars(replayed), formats.cents(replayed), note=f"{share} of events repriced"),
            Figure("Difference", signed(difference), formats.cents(difference), change, direction, ""),
        ],
        chart=draw(days(found), time),
        actions=_lines(whole, part(found, "action"), {}),
        customers=_lines(whole, part(found, "customer"), names),
        refused=[_refused(row) for row in part(found, "refused")],
        notes=_notes(whole, found),
    )


def signed(pico: int) -> str:
    """Return dollars with their sign; exact where they would round to nothing."""
    text = formats.dollars_in_full(pico) if abs(pico) < PICO else formats.dollars(pico)
    return f"+{text}" if pico > 0 else text


def draw(rows: Sequence[ReplayRow], time: TimeRange) -> ComparisonChart:
    """Return the chart of a range, days without events included."""
    known = {row.name: row for row in rows}
    shown = []
    for start in range(time.start // DAY * DAY, time.end, DAY):
        at = datetime.fromtimestamp(start // 1000, UTC).date()
        row = known.get(at.isoformat())
        actual, replayed = (parse_cents(row.actual), parse_cents(row.replayed)) if row else (0, 0)
        shown.append(ComparedDay(_label(at), row.events if row else 0, actual, replayed, replayed - actual))
    top = series_chart.round_up(max((max(day.actual, day.replayed) for day in shown), default=0))
    step = max(1, -(-len(shown) // TICKS))
    return ComparisonChart(
        width=len(shown) * SLOT,
        height=HEIGHT,
        segments=[bar for index, day in enumerate(shown) for bar in _bars(index, day, top)],
        days=shown,
        scale=[formats.dollars_in_full(amount).removesuffix(".00") for amount in (top, top // 2, 0)],
        ticks=[day.label if index % step == 0 else "" for index, day in enumerate(shown)],
    )


def _bars(index: int, day: ComparedDay, top: int) -> list[Segment]:
    left, half = index * SLOT + (SLOT - BAR) // 2, BAR // 2
    bars = []
    for x, amount, colour in ((left, day.actual, 0), (left + half, day.replayed, 1)):
        height = max(amount * HEIGHT // top, LEAST) if amount > 0 else 0
        if height:
            bars.append(Segment(x, HEIGHT - height, half - 2, height, colour))
    return bars


def _label(at: date) -> str:
    return f"{at.day} {at:%b}"


def _lines(whole: ReplayRow, rows: Sequence[ReplayRow], names: Mapping[str, str]) -> list[ReplayLine]:
    shown = rows[:MOST_LINES]
    numbers = [
        (names.get(row.name, row.name), row.events, parse_cents(row.actual), parse_cents(row.replayed)) for row in shown
    ]
    events, _, _, actual, replayed = others_of(whole, shown)
    if events:
        numbers.append(("all others", events, actual, replayed))
    return compared(numbers)


def compared(numbers: Sequence[tuple[str, int, int, int]]) -> list[ReplayLine]:
    """Return the lines of names with their events, what was charged and what would have been, both in pico-cents."""
    largest = max((abs(now - before) for _, _, before, now in numbers), default=0)
    return [_line(*number, largest) for number in numbers]


def _line(name: str, events: int, actual: int, replayed: int, largest: int) -> ReplayLine:
    difference = replayed - actual
    width = max(abs(difference) * HALF // largest, 1) if difference else 0
    start = HALF if difference >= 0 else HALF - width
    return ReplayLine(name, events, actual, replayed, difference, start=start, width=width)


def _refused(row: ReplayRow) -> RefusedLine:
    reason, _, quantity = row.why.partition(":")
    return RefusedLine(row.name, WHY[reason].format(quantity), row.events, parse_cents(row.actual))


def _notes(whole: ReplayRow, found: Replayed) -> list[str]:
    notes = []
    if whole.waiting:
        before, now = parse_cents(whole.waiting_actual), parse_cents(whole.waiting_replayed)
        notes.append(
            f"{_outcomes(whole.waiting)} still pending and in no sum: if all succeed, they add "
            f"{formats.dollars(before)} as they are and {formats.dollars(now)} replayed."
        )
    if found.registered.charges:
        total = formats.dollars(parse_cents(found.registered.total))
        notes.append(f"Registered outcomes keep their own prices: {total} in this time, in no sum here.")
    return notes


def _outcomes(count: int) -> str:
    return f"{formats.grouped(count)} outcome{' is' if count == 1 else 's are'}"


def _events(count: int) -> str:
    return f"{formats.grouped(count)} event{'' if count == 1 else 's'}"


def apply_call(rows: Sequence[Mapping[str, Any]], address: str) -> str:
    """Return the shell command that puts price rows into force, all or none."""
    body = json.dumps({"rows": rows}, ensure_ascii=False).replace("'", "'\\''")
    return "\n".join(
        [
            f"curl {address}/api/admin/pricing/bulk \\",
            '  -H "Authorization: Bearer $REV_ADMIN_TOKEN" \\',
            '  -H "Content-Type: application/json" \\',
            f"  -d '{body}'",
        ]
    )
