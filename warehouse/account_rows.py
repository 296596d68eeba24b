"""The rows and parameters of the queries about customers and their prices (sql/queries/account_*.sql).

As in warehouse.rows: money and sums are decimal text, times are ms since the epoch, UTC.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from schemas.price_match import PriceSlot
from warehouse.time_range import TimeRange


class CustomerQuery(NamedTuple):
    """A page of customers with their sums in ``time`` and in ``before``, whose starts lie on an hour."""

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


class PricedQuery(NamedTuple):
    """The events of a range that a price row could fit.

    ``picos``: pico-cents of the row for one unit of a quantity, by its name.
    """

    slot: PriceSlot
    time: TimeRange
    picos: Mapping[str, int]
    ignore_unknown: bool


class PricedRow(msgspec.Struct, frozen=True, gc=False):
    """What events counted and were charged that have one customer, action, model and provider ('' for none)."""

    customer_id: str
    action: str
    model: str
    provider: str
    refused: bool
    events: int
    successes: int
    open: int
    token_sum: str
    input_sum: str
    output_sum: str
    quantity_sums: dict[str, str]
    charged: str
