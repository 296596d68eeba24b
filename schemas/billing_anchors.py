"""Billing anchors: the day of the month on which a customer's billing periods begin, in place of the 1st (UTC). Pure.

Steps, minimums, caps and volume count by these periods. A new anchor holds from the end of the running period on, so
that no period is cut and none overlaps another; the first period after a change may be shorter than a month. In a month
without that day a period begins on its last one.
"""

from calendar import monthrange
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from schemas.limits import DAY
from schemas.months import month_around, month_of
from schemas.objects import iso

CALENDAR = 1
"""The anchor of a customer without one."""
MAX_DAY = 31


class AnchorStart(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The accepted time, ms UTC, from which an anchor holds."""

    start: int
    day: int


Anchors = tuple[AnchorStart, ...]
"""All anchors of a customer, by start; before the first one it is the 1st."""


class BillingPeriod(NamedTuple):
    """[start, end) in ms UTC. ``name``: ``2026-11`` for a calendar month, else its first day, ``2026-11-15``."""

    start: int
    end: int
    name: str

    @property
    def is_month(self) -> bool:
        return is_month(self.name)


class BillingAnchorObject(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's billing anchor. The running period is of the anchor that holds now."""

    customer_id: str
    billing_anchor: int
    effective_at: str | UnsetType = UNSET
    """From when it holds; absent for the 1st of a customer who never had another one."""
    period_start: str
    period_end: str


def is_month(name: str) -> bool:
    """True if a period of this name is a calendar month."""
    return len(name) == len("2026-11")


def period_at(anchors: Anchors, at: int) -> BillingPeriod:
    """Return the billing period of an accepted time, ms UTC."""
    return _period(anchors, at // DAY)


def with_anchor(anchors: Anchors, day: int, at: int) -> Anchors:
    """Return the anchors after a change at an accepted time, which takes the place of one that does not hold yet."""
    held = tuple(one for one in anchors if one.start <= at)
    if day == (held[-1].day if held else CALENDAR):
        return held
    return (*held, AnchorStart(period_at(held, at).end, day))


def anchor_shown(customer_id: str, anchors: Anchors, at: int) -> BillingAnchorObject:
    """Return a customer's anchor as the API shows it at an accepted time."""
    last = anchors[-1] if anchors else None
    period = period_at(anchors, at)
    return BillingAnchorObject(
        customer_id=customer_id,
        billing_anchor=CALENDAR if last is None else last.day,
        effective_at=UNSET if last is None else iso(last.start),
        period_start=iso(period.start),
        period_end=iso(period.end),
    )


def anchors_key(customer_id: str) -> bytes:
    """Return the key of a customer's anchors in the shard's state; they are for both modes."""
    return b"anchors/" + customer_id.encode()


@lru_cache(maxsize=4096)
def _period(anchors: Anchors, number: int) -> BillingPeriod:
    """Return the period of a day, counted from the epoch."""
    at = number * DAY
    held = [one for one in anchors if one.start <= at]
    day = held[-1].day if held else CALENDAR
    moment = datetime.fromtimestamp(at // 1000, UTC)
    months = moment.year * 12 + moment.month - 1
    if at < _begin(months, day):
        months -= 1
    start, end = _begin(months, day), _begin(months + 1, day)
    if held:
        start = max(start, held[-1].start)
    name = month_of(start)
    if (start, end) != month_around(start):
        name = f"{datetime.fromtimestamp(start // 1000, UTC):%Y-%m-%d}"
    return BillingPeriod(start, end, name)


def _begin(months: int, day: int) -> int:
    """Return when the period begins that begins in a month, counted from the year 0."""
    year, number = months // 12, months % 12 + 1
    first = datetime(year, number, min(day, monthrange(year, number)[1]), tzinfo=UTC)
    return int(first.timestamp()) * 1000


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Anchors).decode
