"""/dashboard: the owner's overview."""

import asyncio
import shlex
from pathlib import Path

from aiohttp import hdrs, web

from warehouse.dashboard import DashboardReads
from warehouse.dashboard_rows import SeriesQuery
from warehouse.time_range import TimeRange, named, today
from web import filters, periods, readings, unpriced_readings
from web.live_feed import current_run_rate
from web.routes import Audience, WebRoute
from web.views import overview_view, run_rate_view
from web.views.overview_view import BY, Compared, OverviewRows
from web.visits import Visit

COLOURED = 6
"""Names with a colour of their own in the chart."""
RANKED = 6
EVENTS = 10


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, "/dashboard", Audience.OWNER, _overview),
    ]


def example(address: str, key_file: Path) -> str:
    """Return a shell command that meters one event at this server, with the key that `rev up` keeps in a file."""
    return "\n".join(
        [
            f"curl {address}/v1/meter \\",
            f'  -H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})" \\',
            '  -H "Content-Type: application/json" \\',
            """  -d '{"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}'""",
        ]
    )


async def _overview(visit: Visit) -> web.Response:
    given = visit.query(("period", "by"))
    period = periods.checked(given.get("period"))
    by = filters.choice(given, "by", tuple(BY)) or "action"
    now = visit.site.clock()
    time = named(period, now)
    rows, run_rate, missing = await asyncio.gather(
        read(visit.site.reads, period, time, now, by),
        current_run_rate(visit.site.reads, now),
        unpriced_readings.unpriced(visit.site),
    )
    view = overview_view.assemble(period, time, by, rows)
    names = await readings.names(visit.site.reads, run_rate_view.customers(run_rate))
    return visit.page(
        "overview.html",
        view=view,
        run_rate=run_rate_view.assemble(run_rate, names),
        unpriced=missing,
        periods=periods.PERIODS,
        stacks={name: f"By {name}" for name in BY},
        example=example(visit.address, visit.site.settings.data / "demo.key"),
    )


async def read(reads: DashboardReads, period: str, time: TimeRange, now: int, by: str = "action") -> OverviewRows:
    """Return the rows of the page; ``now`` in ms, ``by`` of BY. Raises ReadsUnavailable."""

    async def compared(label: str, note: str, time: TimeRange) -> Compared:
        totals = await asyncio.gather(reads.totals(time), reads.totals(periods.before(time, now)))
        return Compared(label, note, *totals)

    bucket = periods.bucket(period)
    # sums of a period that the revenue has are not read twice
    shown_already = {"7d": 1, "30d": 2}
    read = asyncio.gather(
        compared("Revenue today", "vs yesterday by now", today(now)),
        compared("Last 7 days", "vs the 7 days before", named("7d", now)),
        compared("Last 30 days", "vs the 30 days before", named("30d", now)),
        *([] if period in shown_already else [compared(period, "", time)]),
    )
    split = asyncio.gather(
        reads.series(SeriesQuery(time.start, time.end, bucket, BY[by], COLOURED)),
        reads.verdicts(time),
        reads.pending(now),
        readings.recent_events(reads, now, EVENTS),
    )
    ranked = asyncio.gather(
        reads.ranked(time, "customer_id", RANKED),
        reads.ranked(time, "agent_id", RANKED),
        reads.ranked(time, "action", RANKED),
    )
    sums, (series, verdicts, pending, recent), (customers, agents, actions) = await asyncio.gather(read, split, ranked)
    shown = [row.name for row in customers] + [row.customer_id for row in recent]
    if by == "customer":
        shown += {row.name for row in series}
    return OverviewRows(
        revenue=sums[:3],
        period=sums[shown_already.get(period, 3)],
        series=series,
        customers=customers,
        agents=agents,
        actions=actions,
        recent=recent,
        names=await readings.names(reads, shown),
        verdicts=verdicts,
        pending=pending,
    )
