"""Runs a replay: over which time, whose events, with the prices in force now and what lies over them."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import quote

from aiohttp import hdrs

from schemas import times
from schemas.commands import Rates
from schemas.limits import DAY, MAX_LIST
from schemas.months import month_around
from schemas.price_match import PriceSlot
from warehouse.errors import ReadsTooSlow
from warehouse.replay import MAX_MONTH_UNITS, ChangedPrice, MonthUnitsRow, Replayed, ReplayQuery, TooManyCompeting
from warehouse.time_range import DEFAULT_PERIOD, TimeRange, named
from web.data import replay_changes
from web.gateway_api import GatewayApi
from web.site import WebSite
from web.web_refusals import Refusal, invalid

MAX_DAYS = 366
"""Days of a replay."""
PRICES = "/api/admin/pricing"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TOO_SLOW = "the replay takes too long; choose a shorter time or one customer_id"


class Scenario(NamedTuple):
    """What is replayed. ``customer``: '' for all."""

    time: TimeRange
    customer: str
    changes: list[ChangedPrice]


def time_range(start: str | None, end: str | None, now: int) -> TimeRange:
    """Return the range of event times: ISO 8601 times, or dates, of which ``end`` is not included.

    Absent ones are as in the period of 30 days. Raises Refusal.
    """
    default = named(DEFAULT_PERIOD, now)
    last = default.end if end is None else _time("to", end)
    first = last - (default.end - default.start) if start is None else _time("from", start)
    if first >= last:
        raise invalid("from must be before to")
    if last - first > MAX_DAYS * DAY:
        raise invalid(f"from must be at most {MAX_DAYS} days before to")
    return TimeRange(first, last)


def _time(name: str, text: str) -> int:
    try:
        return times.parse(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except times.TimeError as error:
        raise invalid(f"{name} {error}") from None


async def prices_in_force(api: GatewayApi) -> dict[PriceSlot, Rates | None]:
    """Return all rows in force; None for the rates of one whose months are settled. Raises Refusal."""
    configs, cursor = [], ""
    while True:
        after = f"&cursor={quote(cursor, safe='')}" if cursor else ""
        page = await api.call(hdrs.METH_GET, f"{PRICES}?limit={MAX_LIST}{after}")
        configs += [config for config in page["configs"] if not config.get("scheduled")]
        cursor = page["next_cursor"]
        if not cursor:
            return replay_changes.in_force(configs)


async def months(site: WebSite, slot: PriceSlot, in_force: Iterable[PriceSlot], now: int) -> list[MonthUnitsRow]:
    """Return what was used last month and in this one of what a row of prices is for. Raises Refusal or
    ReadsUnavailable."""
    last = month_around(month_around(now).start - 1)
    with _refusing():
        found = await site.replay.month_units(slot, list(in_force), TimeRange(last.start, now))
    if len(found) == MAX_MONTH_UNITS:
        raise invalid("the price is for too many customers; name a customer_id")
    return found


async def run(site: WebSite, scenario: Scenario, in_force: Iterable[PriceSlot]) -> Replayed:
    """Return what the scenario finds. Raises Refusal or ReadsUnavailable."""
    query = ReplayQuery(scenario.time, scenario.customer, scenario.changes, list(in_force))
    with _refusing():
        return await site.replay.replay(query)


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise a Refusal for a read that is not possible or takes too long."""
    try:
        yield
    except TooManyCompeting as error:
        raise invalid(str(error)) from None
    except ReadsTooSlow:
        raise Refusal(503, "too_slow", _TOO_SLOW, {hdrs.RETRY_AFTER: "10"}) from None
