"""Replay: what the events of the ledger would have cost at other prices, computed by ClickHouse.

This module turns rows of prices into the parameters of sql/queries/replay.sql. It computes no amounts itself. What a
row charges in graduated steps is replayed; what is settled when a month is over (volume, minimum) and caps are not.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import msgspec

from schemas.billing_anchors import Anchors, period_at, with_anchor
from schemas.commands import Rates
from schemas.limits import DAY, TIMESTAMP_AHEAD
from schemas.money import MAX_EVENT, format_cents, parse_cents
from schemas.price_match import ANY, PriceSlot, candidates
from schemas.quantities import INPUT, OUTPUT
from schemas.settings import Settings
from warehouse.reader import ClickHouseReader, QueryRunner, Value
from warehouse.time_range import TimeRange, day_parameters

MAX_CHANGES = 100
"""Maximum changed rows of a replay."""
MAX_COMPETING = 1000
"""Maximum rows in force that may win over a change."""
MAX_MONTH_UNITS = 100_000
"""Customers with a month and a set of quantities that a preview sums up."""
MAX_NAMES = 1000
"""Actions, customers and days with a row of their own; those that change most come first."""
BITS = 11
"""Bits of a numbered name; there are fewer than 2^11, since changes and competing rows have at most 1,100."""
MOST_SUMMED = 10**9
"""Maximum tokens of an event that is priced in a sum, as sql/queries/replay.sql and the projection `by_day` have it; an
Int64 holds 9 * 10^9 of them."""
MOST_UNITS = 10**8
"""Maximum of its other quantities together, which must be whole numbers."""
NO_CODE = 2**64 - 1
"""No row has it; the engine takes no empty list."""
NO_CHANGE = -2
"""No event has it, likewise."""
NO_END = Decimal(10**40)
"""The count up to which a last step holds: more than any."""
LATE = 800 * DAY
"""ms after the replayed time for which billing periods are told; what is accepted later counts in the last one."""
_FIELDS = len(PriceSlot._fields)


class ChangedPrice(NamedTuple):
    """A row of prices as it would be: canonical rates, and what it is for."""

    slot: PriceSlot
    rates: Rates


class ReplayQuery(NamedTuple):
    """``customer``: one customer's events only; '' for all. ``in_force``: the slots of all rows in force."""

    time: TimeRange
    customer: str
    changes: Sequence[ChangedPrice]
    in_force: Sequence[PriceSlot]


class ReplayRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of ``part``: ``all``, one ``action``, ``customer`` or ``day`` (``name``), or what would be ``refused``.

    ``repriced``: events that a change applies to. ``refused``: those of them that it cannot price; ``why`` is
    ``no_rate:<quantity>``, ``too_many_decimals:<quantity>`` or ``too_expensive``, of a part ``refused`` only.
    ``waiting``: pending events that have not ended, and what they add if all succeed. Money is decimal text in cents.
    """

    part: str
    name: str
    why: str
    events: int
    repriced: int
    refused: int
    waiting: int
    actual: str
    replayed: str
    waiting_actual: str
    waiting_replayed: str


class RegisteredRow(msgspec.Struct, frozen=True, gc=False):
    """Charges of registered outcomes, less voids."""

    charges: int
    total: str


class AnchorRow(msgspec.Struct, frozen=True, gc=False):
    """A customer's billing anchor, a day of the month, set at an accepted time in ms."""

    customer_id: str
    day: int
    at: int


class MonthUnitsRow(msgspec.Struct, frozen=True, gc=False):
    """What a customer used in a month (``2026-11``) in events whose quantities have these ``names``: their ``units``.

    ``wins``: events that succeeded at once. ``total``: what was charged, cents. Sums are decimal text.
    """

    customer: str
    month: str
    names: list[str]
    events: int
    wins: int
    token_sum: str
    input_sum: str
    output_sum: str
    units: list[str]
    total: str


class Replayed(NamedTuple):
    """``parts``: the largest difference first within a part."""

    parts: list[ReplayRow]
    registered: RegisteredRow


class ReplayReads(Protocol):
    """The read of a replay."""

    async def replay(self, query: ReplayQuery) -> Replayed:
        """Return what a replay finds. Raises TooManyCompeting, ReadsTooSlow or ReadsUnavailable."""
        ...

    async def month_units(self, slot: PriceSlot, in_force: Sequence[PriceSlot], time: TimeRange) -> list[MonthUnitsRow]:
        """Return what was used in the months of a range of accepted times of what a row of prices is, or would be, for.

        At most MAX_MONTH_UNITS rows. Raises TooManyCompeting, ReadsTooSlow or ReadsUnavailable.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class TooManyCompeting(ValueError):
    """More rows in force compete with the changes than a query may carry."""


class LedgerReplay:
    """Implementation of :class:`ReplayReads` from ClickHouse."""

    def __init__(self, runner: QueryRunner) -> None:
        self._runner = runner

    async def replay(self, query: ReplayQuery) -> Replayed:
        time = query.time.clamped()
        where: dict[str, Value] = {"start": time.start, "end": time.end, "customer": query.customer}
        days: dict[str, Value] = {**day_parameters(time), "customer": query.customer}
        # partitions are months of the accepted time, which is after the event's own, or a few minutes before it
        accepted = datetime.fromtimestamp(max(time.start - TIMESTAMP_AHEAD, 0) // 1000, UTC)
        anchors = await self._anchors(query) if any(change.rates.tiers for change in query.changes) else {}
        # a period that is no calendar month may begin in the one before
        counted = accepted - timedelta(days=31) if anchors else accepted
        more = {
            "month": f"{accepted:%Y%m}",
            "counted_month": f"{counted:%Y%m}",
            "limit": MAX_NAMES,
            **parameters(query),
            **billing_periods(anchors, time),
        }
        parts = await self._runner.fetch("replay", ReplayRow, **days, **more)
        registered = await self._runner.fetch("replay_registered", RegisteredRow, **where)
        return Replayed(parts, registered[0])

    async def month_units(self, slot: PriceSlot, in_force: Sequence[PriceSlot], time: TimeRange) -> list[MonthUnitsRow]:
        others = competing([slot], in_force, slot.customer_id or "")
        time = time.clamped()
        return await self._runner.fetch(
            "month_units",
            MonthUnitsRow,
            customer=slot.customer_id or "",
            action=_name(slot.action),
            model=slot.model or "",
            provider=slot.provider or "",
            start=time.start,
            end=time.end,
            customers=[one.customer_id or "" for one in others],
            actions=[_name(one.action) for one in others],
            models=[one.model or "" for one in others],
            providers=[one.provider or "" for one in others],
            limit=MAX_MONTH_UNITS,
        )

    async def close(self) -> None:
        await self._runner.close()

    async def _anchors(self, query: ReplayQuery) -> dict[str, Anchors]:
        """Return the billing anchors of customers who have one."""
        found: dict[str, Anchors] = {}
        for row in await self._runner.fetch("replay_anchors", AnchorRow, customer=query.customer):
            found[row.customer_id] = with_anchor(found.get(row.customer_id, ()), row.day, row.at)
        return found


def open_replay(settings: Settings) -> LedgerReplay:
    """Return the read of replays. It connects only at the first one."""
    return LedgerReplay(
        ClickHouseReader(settings.clickhouse_url, settings.clickhouse_user, settings.clickhouse_password)
    )


def parameters(query: ReplayQuery) -> dict[str, Any]:
    """Return the parameters of sql/queries/replay.sql that say which row applies and what it charges.

    Raises TooManyCompeting.
    """
    changes = query.changes
    changed = [change.slot for change in changes]
    rows = [*zip(changed, range(1, len(changes) + 1), strict=True)]
    rows += [(slot, 0) for slot in competing(changed, query.in_force, query.customer)]
    names = [_numbered(slot[field] for slot, _ in rows) for field in range(_FIELDS)]
    named = {tuple(_is_named(slot)) for slot, _ in rows}
    order = [shape for shape in _shapes() if shape in named]
    rates = [
        (f"{number}:{rate.name}", parse_cents(rate.rate) // rate.per)
        for number, change in enumerate(changes, 1)
        for rate in change.rates.quantities
    ]
    return {
        "customers": list(names[0]),
        "actions": list(names[1]),
        "models": list(names[2]),
        "providers": list(names[3]),
        "masks": [_mask(shape) for shape in order] or [0],
        "shapes": [_shape_bits(shape) for shape in order] or [_shape_bits((True,) * _FIELDS)],
        "codes": [NO_CODE, *(_code(slot, names) for slot, _ in rows)],
        "changes": [-1, *(number for _, number in rows)],
        "base": [Decimal(0), *(Decimal(change.rates.base) for change in changes)],
        "token": [Decimal(0), *(Decimal(change.rates.token) for change in changes)],
        "bonus": [Decimal(0), *(Decimal(change.rates.bonus) for change in changes)],
        "rated": ["", *(name for name, _ in rates)],
        "rates": [Decimal(0), *(Decimal(format_cents(pico)) for _, pico in rates)],
        "ignoring": [False, *(change.rates.ignore_unknown for change in changes)],
        **_steps(changes),
        "summed": _may_sum(changes),
    }


def _steps(changes: Sequence[ChangedPrice]) -> dict[str, Any]:
    """Return the parameters that say which changes charge in steps, and the steps."""
    tiered = [(number, tiers) for number, change in enumerate(changes, 1) for tiers in change.rates.tiers]
    steps = [
        (
            index,
            Decimal(below),
            NO_END if step.up_to is None else Decimal(step.up_to),
            parse_cents(step.rate) // step.per,
        )
        for index, (_, tiers) in enumerate(tiered, 1)
        for below, step in zip(("0", *(str(one.up_to) for one in tiers.steps)), tiers.steps, strict=False)
    ]
    return {
        "stepped": [NO_CHANGE, *dict.fromkeys(number for number, _ in tiered)],
        "tiered": ["", *(f"{number}:{tiers.name}" for number, tiers in tiered)],
        "step_of": [0, *(index for index, _, _, _ in steps)],
        "step_from": [Decimal(0), *(low for _, low, _, _ in steps)],
        "step_to": [Decimal(0), *(high for _, _, high, _ in steps)],
        "step_rates": [Decimal(0), *(Decimal(format_cents(pico)) for _, _, _, pico in steps)],
    }


def billing_periods(anchors: Mapping[str, Anchors], time: TimeRange) -> dict[str, Any]:
    """Return the parameters that say when the billing periods of customers with an anchor began."""
    begun = [("", 0)]
    for customer, held in anchors.items():
        start = time.start - TIMESTAMP_AHEAD
        while start < time.end + LATE:
            period = period_at(held, start)
            begun.append((customer, period.start))
            start = period.end
    return {"anchored": [customer for customer, _ in begun], "began": [start for _, start in begun]}


def competing(changed: Sequence[PriceSlot], in_force: Sequence[PriceSlot], customer: str) -> list[PriceSlot]:
    """Return the rows in force that a change does not replace and that may win over one for the same event.

    Raises TooManyCompeting.
    """
    order = {shape: rank for rank, shape in enumerate(_shapes())}
    replaced = set(changed)
    found = []
    for slot in in_force:
        if slot in replaced or (customer and slot.customer_id not in (None, customer)):
            continue
        rank = order[tuple(_is_named(slot))]
        if any(rank < order[tuple(_is_named(change))] and _meet(slot, change) for change in changed):
            found.append(slot)
    if len(found) > MAX_COMPETING:
        raise TooManyCompeting(f"changes compete with more than {MAX_COMPETING} prices in force; name a customer_id")
    return found


def _meet(one: PriceSlot, other: PriceSlot) -> bool:
    """True if an event may fit both."""
    both = zip(one, other, _is_named(one), _is_named(other), strict=True)
    return all(not (here and there) or mine == its for mine, its, here, there in both)


def _name(action: str) -> str:
    return "" if action == ANY else action


def _is_named(slot: PriceSlot) -> Iterator[bool]:
    yield slot.customer_id is not None
    yield slot.action != "*"
    yield slot.model is not None
    yield slot.provider is not None


def _shapes() -> list[tuple[bool, ...]]:
    """Return which names rows have, in the order in which rows are tried."""
    return [tuple(_is_named(slot)) for slot in candidates("customer", "action", "model", "provider")]


def _numbered(names: Iterator[str | None]) -> dict[str, int]:
    """Return a number for each name from 1 on; 0 is any other name."""
    known = dict.fromkeys(name for name in names if name is not None and name != "*")
    return {name: number for number, name in enumerate(["", *known])}


def _mask(shape: Sequence[bool]) -> int:
    return sum(((1 << BITS) - 1) << BITS * field for field in range(_FIELDS) if shape[field])


def _shape_bits(shape: Sequence[bool]) -> int:
    return sum(1 << (BITS * _FIELDS + field) for field in range(_FIELDS) if shape[field])


def _code(slot: PriceSlot, names: Sequence[dict[str, int]]) -> int:
    shape = tuple(_is_named(slot))
    numbers = (names[field][slot[field] or ""] if shape[field] else 0 for field in range(_FIELDS))
    return _shape_bits(shape) + sum(number << BITS * field for field, number in enumerate(numbers))


def _may_sum(changes: Sequence[ChangedPrice]) -> bool:
    """True if no change can charge more than an event may cost for an event of MOST_SUMMED tokens and MOST_UNITS.

    Tokens, input and output may each have the highest rate.
    """
    fixed = max((parse_cents(one.rates.base) + parse_cents(one.rates.bonus) for one in changes), default=0)
    token = [parse_cents(one.rates.token) for one in changes]
    by_name = [(rate.name, parse_cents(rate.rate) // rate.per) for one in changes for rate in one.rates.quantities]
    of_tokens = max([*token, *(rate for name, rate in by_name if name in (INPUT, OUTPUT)), 0])
    of_units = max([rate for _, rate in by_name], default=0)
    return fixed + 3 * of_tokens * MOST_SUMMED + of_units * MOST_UNITS <= MAX_EVENT
