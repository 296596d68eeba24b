"""The rows and parameters of the queries about customers and their credit (sql/queries/account_*.sql).

As in warehouse.rows: money and sums are decimal text, times are ms since the epoch, UTC.
"""

from typing import NamedTuple

import msgspec

from warehouse.time_range import TimeRange


class CustomerQuery(NamedTuple):
    """A page of customers with their sums in ``time`` and in ``before``, the earlier one."""

    time: TimeRange
    before: TimeRange
    search: str = ""
    limit: int = 50
    offset: int = 0


class CustomerRow(msgspec.Struct, frozen=True, gc=False):
    """A customer. ``metered``: only a platform key has named it so far. ``found``: customers on all pages."""

    id: str
    name: str
    test: bool
    metered: bool
    events: int
    events_before: int
    total: str
    total_before: str
    found: int


class LastEventRow(msgspec.Struct, frozen=True, gc=False):
    """When a customer last metered."""

    id: str
    at: int


class GrantRow(msgspec.Struct, frozen=True, gc=False):
    """A grant of prepaid credit: ``detail``, its JSON when it was made; ``used``: the cents drawn from it since."""

    id: int
    actor: str
    detail: str
    used: str
