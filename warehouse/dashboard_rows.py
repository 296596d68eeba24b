"""The rows of the dashboard's queries (sql/queries/dashboard_*.sql): sums over all customers, without test entries.

As in warehouse.rows: money and sums of tokens are decimal text, times are ms since the epoch, UTC.
"""

from typing import Literal, NamedTuple

import msgspec

RankKey = Literal["agent_id", "customer_id", "action"]
Bucket = Literal["hour", "day"]


class TotalsRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of a range. ``agents``: how many have events left after voids."""

    events: int
    charges: int
    tokens: str
    total: str
    agents: int


class RankedRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of one agent, customer or action; or of the ``others`` that have no row of their own.

    ``peers``: how many customers (of a customer: agents) have events or charges left; 0 for the others.
    """

    name: str
    others: int
    events: int
    charges: int
    tokens: str
    total: str
    peers: int


class SeriesRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of one name in the hour or day that begins at ``start``; name '' means all that have none of their own."""

    start: int
    name: str
    events: int
    total: str


class RunRateRow(msgspec.Struct, frozen=True, gc=False):
    """What was accepted in a stretch of time: of one agent of a customer, or, both names '', of everyone.

    ``events``: less voided ones; ``ended``: verdicts, of which ``failed`` were failures; ``total``: charges less voids.
    ``minutes``: of the stretch, with events; ``most_events`` and ``most``: of one minute.
    """

    customer: str
    agent: str
    events: int
    failed: int
    ended: int
    total: str
    minutes: int
    most_events: int
    most: str


class VerdictsRow(msgspec.Struct, frozen=True, gc=False):
    """How much work ended in which way."""

    succeeded: int
    failed: int
    expired: int


class PendingRow(msgspec.Struct, frozen=True, gc=False):
    """The open outcomes, and what they add if all succeed."""

    outcomes: int
    total: str


class OutcomeCountRow(msgspec.Struct, frozen=True, gc=False):
    """The outcomes of one status, ``name``. ``charged``: charges less voids. ``awaited``: what they may still add."""

    name: str
    outcomes: int
    charged: str
    awaited: str


class CountsRow(msgspec.Struct, frozen=True, gc=False):
    """Customers and active API keys."""

    customers: int
    keys: int


class SignupsRow(msgspec.Struct, frozen=True, gc=False):
    """Sign-ups with these UTM parameters; '' for an absent one."""

    source: str
    medium: str
    campaign: str
    signups: int


class NameRow(msgspec.Struct, frozen=True, gc=False):
    """The name of a customer that has one."""

    id: str
    name: str


class SeriesQuery(NamedTuple):
    """A query for sums by bucket and key. The range is one of whole buckets. ``most`` names get rows of their own.

    ``customer``, ``agent`` and ``action``: only these; '' means any. ``test``: the test entries or the others.
    """

    start: int
    end: int
    bucket: Bucket
    key: RankKey
    most: int
    customer: str = ""
    test: bool = False
    agent: str = ""
    action: str = ""
