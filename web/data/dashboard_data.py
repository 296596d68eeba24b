"""The dashboard's data as the API shows it, assembled from rows of the ledger. Pure.

Money is returned as exact JSON numbers. It is summed as integers of pico-cents and rounded to dollars once, at the
end.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from schemas.meter_responses import Breakdown
from schemas.money import dollars_rounded, format_cents, parse_cents
from schemas.objects import Json, Number, iso, number
from schemas.raw_json import NULL
from warehouse.dashboard_rows import CountsRow, OutcomeCountRow, RankedRow, SeriesRow, SignupsRow, TotalsRow
from warehouse.rows import EventRow
from warehouse.time_range import TimeRange
from web import periods

CURRENCY = "usd"
STATUSES = ("pending", "succeeded", "failed", "expired")


class StatsResponse(msgspec.Struct, frozen=True):
    """GET /api/dashboard/stats."""

    total_events: int
    total_revenue_cents: Number
    total_revenue_dollars: Number
    events_today: int
    revenue_today_cents: Number
    revenue_today_dollars: Number
    revenue_week_cents: Number
    revenue_week_dollars: Number
    active_agents_today: int
    total_customers: int
    active_api_keys: int
    currency: str = CURRENCY


class RankedSums(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The sums of one agent, customer or action; or of the ``others`` that have no row of their own."""

    agent_id: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    action: str | None = None
    others: int | None = None
    event_count: int
    total_cents: Number
    total_dollars: Number
    total_tokens: int
    customer_count: int | None = None
    agent_count: int | None = None


class RevenueByAgent(msgspec.Struct, frozen=True):
    """GET /api/dashboard/revenue-by-agent."""

    period: str
    agents: Sequence[RankedSums]
    currency: str = CURRENCY


class RevenueByCustomer(msgspec.Struct, frozen=True):
    """GET /api/dashboard/revenue-by-customer."""

    period: str
    customers: Sequence[RankedSums]
    currency: str = CURRENCY


class RevenueByAction(msgspec.Struct, frozen=True):
    """GET /api/dashboard/revenue-by-action."""

    period: str
    actions: Sequence[RankedSums]
    currency: str = CURRENCY


class RecentEvent(msgspec.Struct, frozen=True):
    """A priced meter event; ``price_breakdown`` is in cents."""

    id: int
    customer_id: str
    customer_name: str
    agent_id: str
    action: str
    tokens: int
    outcome: str | None
    price_cents: Number
    price_breakdown: Breakdown
    metadata: Json
    created_at: str


class RecentEvents(msgspec.Struct, frozen=True):
    """GET /api/dashboard/recent-events, newest first."""

    events: Sequence[RecentEvent]
    currency: str = CURRENCY


class BucketSums(msgspec.Struct, frozen=True):
    """The sums of one hour or day."""

    period_start: str
    event_count: int
    total_cents: Number
    total_dollars: Number


class RevenueOverTime(msgspec.Struct, frozen=True):
    """GET /api/dashboard/revenue-over-time, the earliest first; a bucket without entries is there with zeros."""

    period: str
    data: Sequence[BucketSums]
    currency: str = CURRENCY


class OutcomeCounts(msgspec.Struct, frozen=True):
    """The outcomes opened in the period, by how they stand.

    ``charge_cents``: what they were charged, less voids. ``pending_cents``: what the pending ones add if all succeed.
    """

    total: int
    pending: int
    succeeded: int
    failed: int
    expired: int
    charge_cents: Number
    charge_dollars: Number
    pending_cents: Number
    pending_dollars: Number


class DashboardOutcomes(msgspec.Struct, frozen=True):
    """GET /api/dashboard/outcomes."""

    period: str
    outcomes: OutcomeCounts
    currency: str = CURRENCY


class SignupCount(msgspec.Struct, frozen=True):
    """``name``: the value of the UTM parameter, null for sign-ups without one."""

    name: str | None
    signups: int


class DashboardSignups(msgspec.Struct, frozen=True):
    """GET /api/dashboard/signups."""

    period: str
    total: int
    by_source: list[SignupCount]
    by_medium: list[SignupCount]
    by_campaign: list[SignupCount]


def stats(ever: TotalsRow, today: TotalsRow, week: TotalsRow, counts: CountsRow) -> StatsResponse:
    """Return the response of GET /api/dashboard/stats."""
    return StatsResponse(
        total_events=ever.events,
        total_revenue_cents=_cents(ever.total),
        total_revenue_dollars=_dollars(ever.total),
        events_today=today.events,
        revenue_today_cents=_cents(today.total),
        revenue_today_dollars=_dollars(today.total),
        revenue_week_cents=_cents(week.total),
        revenue_week_dollars=_dollars(week.total),
        active_agents_today=today.agents,
        total_customers=counts.customers,
        active_api_keys=counts.keys,
    )


def by_agent(period: str, rows: Sequence[RankedRow]) -> RevenueByAgent:
    """Return the response of GET /api/dashboard/revenue-by-agent."""
    return RevenueByAgent(period, [_ranked(row, {"agent_id": row.name, "customer_count": row.peers}) for row in rows])


def by_customer(period: str, rows: Sequence[RankedRow], names: Mapping[str, str]) -> RevenueByCustomer:
    """Return the response of GET /api/dashboard/revenue-by-customer. A customer without a name is called by its id."""
    return RevenueByCustomer(
        period,
        [
            _ranked(
                row,
                {
                    "customer_id": row.name,
                    "customer_name": names.get(row.name, row.name),
                    "agent_count": row.peers,
                },
            )
            for row in rows
        ],
    )


def by_action(period: str, rows: Sequence[RankedRow]) -> RevenueByAction:
    """Return the response of GET /api/dashboard/revenue-by-action."""
    return RevenueByAction(period, [_ranked(row, {"action": row.name, "customer_count": row.peers}) for row in rows])


def recent(rows: Sequence[EventRow], names: Mapping[str, str]) -> RecentEvents:
    """Return the response of GET /api/dashboard/recent-events."""
    return RecentEvents([_event(row, names) for row in rows])


def over_time(period: str, time: TimeRange, rows: Sequence[SeriesRow]) -> RevenueOverTime:
    """Return the response of GET /api/dashboard/revenue-over-time; ``rows`` may be split by name."""
    events = dict.fromkeys(periods.buckets(period, time), 0)
    cents = dict(events)
    for row in rows:
        events[row.start] += row.events
        cents[row.start] += parse_cents(row.total)
    return RevenueOverTime(
        period,
        [
            BucketSums(iso(start), count, number(format_cents(cents[start])), number(dollars_rounded(cents[start])))
            for start, count in events.items()
        ],
    )


def outcomes(period: str, rows: Sequence[OutcomeCountRow]) -> DashboardOutcomes:
    """Return the response of GET /api/dashboard/outcomes."""
    counts = {row.name: row.outcomes for row in rows}
    charged = sum(parse_cents(row.charged) for row in rows)
    awaited = sum(parse_cents(row.awaited) for row in rows)
    return DashboardOutcomes(
        period,
        OutcomeCounts(
            total=sum(counts.values()),
            **{status: counts.get(status, 0) for status in STATUSES},
            charge_cents=number(format_cents(charged)),
            charge_dollars=number(dollars_rounded(charged)),
            pending_cents=number(format_cents(awaited)),
            pending_dollars=number(dollars_rounded(awaited)),
        ),
    )


def signups(period: str, rows: Sequence[SignupsRow]) -> DashboardSignups:
    """Return the response of GET /api/dashboard/signups."""

    def by(name: str) -> list[SignupCount]:
        counts: dict[str, int] = {}
        for row in rows:
            key = getattr(row, name)
            counts[key] = counts.get(key, 0) + row.signups
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return [SignupCount(key or None, count) for key, count in ordered]

    total = sum(row.signups for row in rows)
    return DashboardSignups(period, total, by("source"), by("medium"), by("campaign"))


def _ranked(row: RankedRow, named: dict[str, Any]) -> RankedSums:
    return RankedSums(
        event_count=row.events,
        total_cents=_cents(row.total),
        total_dollars=_dollars(row.total),
        total_tokens=int(row.tokens),
        **({"others": row.others} if row.others else named),
    )


def _event(row: EventRow, names: Mapping[str, str]) -> RecentEvent:
    return RecentEvent(
        id=row.event_id,
        customer_id=row.customer_id,
        customer_name=names.get(row.customer_id, row.customer_id),
        agent_id=row.agent_id,
        action=row.action,
        tokens=row.tokens,
        outcome=row.outcome or None,
        price_cents=number(row.total),
        price_breakdown=Breakdown(number(row.base), number(row.token), number(row.bonus)),
        metadata=msgspec.Raw(row.metadata.encode()) if row.metadata else NULL,
        created_at=iso(row.recorded_at),
    )


def _cents(text: str) -> msgspec.Raw:
    return number(format_cents(parse_cents(text)))


def _dollars(text: str) -> msgspec.Raw:
    return number(dollars_rounded(parse_cents(text)))
