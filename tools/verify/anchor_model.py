"""Billing periods of customers: calendar months, or from the anchor day of one month to that of the next; written apart
from the pricer. Pure.

Rules (docs/verify.md): an anchor holds from the end of the period in which it was set; one that does not hold yet is
replaced by the next one. In a month without that day a period begins on the last day.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from tools.verify.row_values import EMPTY, Row, event_id, iso, loads

COMMANDS = ("billing_anchor.set", "billing_anchor.read")
HISTORY = ("billing_anchor.updated",)
"""Types of the config rows from which a model without the log's beginning takes the anchors."""
DAY_MS = 86_400_000
Begun = tuple[int, int]
"""Accepted time (ms) from which an anchor holds, and its day."""


class PeriodModel(NamedTuple):
    """A billing period, [start, end) in ms UTC."""

    start: int
    end: int

    @property
    def name(self) -> str:
        """The month if it is a whole one, else the first day."""
        first, last = _date(self.start), _date(self.end)
        whole = first.day == 1 and last == _first_of_next(first)
        return f"{first:%Y-%m}" if whole else f"{first:%Y-%m-%d}"


class AnchorModels:
    """The anchors of the customers of one partition."""

    def __init__(self) -> None:
        self._begun: dict[str, tuple[Begun, ...]] = {}

    def period(self, customer: str, at: int) -> PeriodModel:
        """Return the period of a customer that an accepted time (ms) is in."""
        return _period(self._begun.get(customer, ()), at // DAY_MS)

    def set(self, customer: str, day: int, at: int) -> bool:
        """Set an anchor at an accepted time. Return False if it changes nothing."""
        before = self._begun.get(customer, ())
        held = tuple(begun for begun in before if begun[0] <= at)
        after = held
        if day != (held[-1][1] if held else 1):
            after = (*held, (_period(held, at // DAY_MS).end, day))
        self._begun[customer] = after
        return after != before

    def shown(self, customer: str, at: int) -> dict[str, Any]:
        """Return an anchor as the API shows it."""
        begun, period = self._begun.get(customer, ()), self.period(customer, at)
        since = {"effective_at": iso(begun[-1][0])} if begun else {}
        day = begun[-1][1] if begun else 1
        dates = {"period_start": iso(period.start), "period_end": iso(period.end)}
        return {"customer_id": customer, "billing_anchor": day, **since, **dates}

    def inherit(self, row: Row) -> None:
        """Take in the next row of a change from before the log begins."""
        self.set(row["customer_id"], loads(row["detail"])["billing_anchor"], row["recorded_at"])

    def row(self, place: tuple[int, int], at: int, command: Mapping[str, Any], key: bytes) -> Row | None:
        """Return the row that a command leaves at a partition and offset, and take it in; None if it leaves none."""
        if command["command"] == "billing_anchor.read":
            return None
        customer = command["customer_id"]
        right = 1 <= command["day"] <= 31 and key == customer.encode()
        if right and not self.set(customer, command["day"], at):
            return None
        own = {"kind": "config", "config_type": HISTORY[0], "detail": self.shown(customer, at)}
        return {
            **EMPTY,
            **(own if right else {"kind": "rejected", "config_type": command["command"]}),
            "event_id": event_id(*place, 0),
            "raw_partition": place[0],
            "raw_offset": place[1],
            "customer_id": customer,
            "actor": command.get("actor", "admin"),
            "event_time": at,
            "recorded_at": at,
        }


@lru_cache(maxsize=4096)
def _period(begun: tuple[Begun, ...], number: int) -> PeriodModel:
    """Return the period of a day, counted from the epoch: walk from it back and on to the next anchors."""
    at = number * DAY_MS
    held = [one for one in begun if one[0] <= at]
    since, anchor = held[-1] if held else (None, 1)
    first = _date(at)
    while not _is_anchor(first, anchor) and _ms(first) != since:
        first -= timedelta(days=1)
    last = _date(at) + timedelta(days=1)
    while not _is_anchor(last, anchor):
        last += timedelta(days=1)
    return PeriodModel(_ms(first), _ms(last))


def _is_anchor(day: datetime, anchor: int) -> bool:
    is_last = (day + timedelta(days=1)).day == 1
    return day.day == anchor or (is_last and day.day < anchor)


def _first_of_next(day: datetime) -> datetime:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


def _date(at: int) -> datetime:
    return datetime.fromtimestamp(at // 1000, UTC)


def _ms(day: datetime) -> int:
    return int(day.timestamp()) * 1000
