"""The reads of one customer's usage, for the owner's page about it and for its own portal."""

import asyncio

from warehouse.dashboard_rows import SeriesQuery
from warehouse.rows import EventQuery, OutcomeQuery, UsageQuery
from warehouse.time_range import EVER, named
from web import periods
from web.site import WebSite
from web.views.customers_view import COLOURED, CustomerRows

RANKED = 8
OUTCOMES = 20
EVENTS = 20


async def usage(site: WebSite, id: str, test: bool, period: str, now: int) -> CustomerRows:
    """Return what a customer used in one mode and period; ``now`` in ms. Raises ReadsUnavailable."""
    time = named(period, now)
    asked = UsageQuery(id, test, time, top=RANKED)
    before = UsageQuery(id, test, periods.before(time, now))
    ever = UsageQuery(id, test, EVER)
    series = SeriesQuery(time.start, time.end, periods.bucket(period), "action", COLOURED, customer=id, test=test)
    sums = asyncio.gather(
        site.ledger.usage(asked, "action"),
        site.ledger.usage(asked, "agent_id"),
        site.ledger.usage(before, "action"),
        site.reads.series(series),
        site.ledger.pending(ever, now),
    )
    lists = asyncio.gather(
        site.ledger.outcomes(OutcomeQuery(id, now, test, status="pending", limit=OUTCOMES)),
        site.ledger.events(EventQuery(id, test, limit=EVENTS)),
    )
    (actions, agents, then, buckets, pending), (outcomes, events) = await asyncio.gather(sums, lists)
    return CustomerRows(
        actions=actions,
        agents=agents,
        before=then,
        series=buckets,
        pending=pending,
        outcomes=outcomes,
        events=events,
        voided=await site.ledger.voided(id, [row.event_id for row in events]),
    )
