"""/export/{file}: the tables of the owner's pages as CSV and Parquet, such as customers.csv or audit.parquet.

Filters are those of the page's URL. Events have addresses of their own (web/event_export.py).
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from schemas import table_files
from schemas.money import parse_cents
from schemas.parquet_file import Column, ColumnKind
from schemas.price_match import ANY
from schemas.table_files import Groups
from warehouse.account_rows import CustomerQuery
from warehouse.activity_rows import SumsQuery
from warehouse.dashboard_rows import RankKey
from warehouse.rows import MAX_ID
from warehouse.time_range import LAST, named
from web import filters, periods
from web.pages import keys_page, price_lists
from web.routes import Audience, WebRoute
from web.views.price_rows import PriceRow
from web.visits import Visit
from web.web_refusals import Refusal

TEXT, COUNT, CENTS, TIME, FLAG = ColumnKind
PAGE = 2000
MOST = 200_000
"""Rows of one file; a note ends a file that has no more room."""


class Table(NamedTuple):
    """A table: the parameters that its URL may have, its columns, and its rows."""

    parameters: tuple[str, ...]
    columns: tuple[Column, ...]
    groups: Callable[[Visit, dict[str, str]], Groups]


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, "/export/{file}", Audience.OWNER, _export)]


async def _export(visit: Visit) -> web.StreamResponse:
    file = visit.request.match_info["file"]
    name, _, kind = file.partition(".")
    table = TABLES.get(name)
    if table is None or kind not in table_files.TYPES:
        known = ", ".join(TABLES)
        raise Refusal(404, "not_found", f"There is no such file; there are {known}, each as .csv and .parquet.")
    given = visit.query(table.parameters)
    pieces = table_files.pieces(kind, table.columns, _bounded(table.groups(visit, given)))
    return await visit.file(file, table_files.TYPES[kind], pieces)


async def _bounded(groups: Groups) -> Groups:
    """Yield at most MOST rows in groups of at most PAGE, so that none is compressed for long while others wait."""
    left = MOST
    async for group in groups:
        if isinstance(group, str):
            yield group
            continue
        here = group[:left]
        for begin in range(0, max(len(here), 1), PAGE):
            yield here[begin : begin + PAGE]
        if len(group) > left:
            yield f"Cut after {MOST} rows; narrow the filters to export the rest."
            return
        left -= len(group)


async def _customers(visit: Visit, given: dict[str, str]) -> Groups:
    period, now = periods.checked(given.get("period")), visit.site.clock()
    time = named(period, now)
    offset = 0
    while True:
        asked = CustomerQuery(time, periods.before(time, now), given.get("q", "").strip()[:256], PAGE, offset)
        rows = await visit.site.accounts.customers(asked)
        last = await visit.site.accounts.last_events([row.id for row in rows])
        yield [
            (row.id, row.name, row.test, row.metered, row.events, parse_cents(row.total), row.events_before,
             parse_cents(row.total_before), last.get(row.id))
            for row in rows
        ]  # fmt: skip
        offset += PAGE
        if len(rows) < PAGE:
            return


def _ranked(key: RankKey) -> Callable[[Visit, dict[str, str]], Groups]:
    async def groups(visit: Visit, given: dict[str, str]) -> Groups:
        period, now = periods.checked(given.get("period")), visit.site.clock()
        time = named(period, now)
        rows = await visit.site.activity.sums(SumsQuery(key, time, periods.before(time, now), MOST + 1))
        yield [
            (row.name, row.events, row.charges, int(row.token_sum), parse_cents(row.total), parse_cents(row.before),
             row.succeeded, row.ended)
            for row in rows
        ]  # fmt: skip

    return groups


async def _outcomes(visit: Visit, given: dict[str, str]) -> Groups:
    search = filters.outcome_search(given, visit.site.clock(), PAGE)
    states = (search.states,) if given.get("status") else (filters.STATES["open"], filters.STATES["closed"])
    for some in states:
        here = search._replace(states=some)
        while True:
            rows = await visit.site.activity.outcomes(here)
            yield [
                (row.outcome_id, row.state, row.customer_id, row.agent_id, row.action, row.task_id or None,
                 row.opened_by, parse_cents(row.on_success), parse_cents(row.on_failure),
                 None if row.charge is None else parse_cents(row.charge), parse_cents(row.revenue), row.voided,
                 row.on_expiry or None, row.test, row.opened, row.due, row.ended)
                for row in rows
            ]  # fmt: skip
            if len(rows) < PAGE:
                break
            here = here._replace(after=(rows[-1].place, rows[-1].event_id))


async def _prices(visit: Visit, given: dict[str, str]) -> Groups:
    api = visit.site.api
    rows = await (price_lists.with_past(api) if given.get("history") == "1" else price_lists.with_scheduled(api))
    yield [_price(row) for row in rows]


def _price(row: PriceRow) -> tuple[Any, ...]:
    rates = {one.name: f"{one.words}" for one in row.rates}
    steps = {one.name: one.words for one in row.tiers}
    slot = row.slot
    return (
        *(row.id, slot.customer_id, None if slot.action == ANY else slot.action, slot.model, slot.provider),
        *(row.base, row.token, row.bonus, json.dumps(rates) if rates else None, json.dumps(steps) if steps else None),
        *(row.ignore_unknown, row.is_active, row.scheduled, row.effective_at, row.created_at, row.ended_at),
    )


async def _keys(visit: Visit, given: dict[str, str]) -> Groups:
    keys = await keys_page.every_key(visit.site.api)
    yield [
        (key.id, key.mask, key.customer_id, key.customer, key.is_active, key.test, key.created, key.used)
        for key in keys
    ]


async def _audit(visit: Visit, given: dict[str, str]) -> Groups:
    before = (LAST, MAX_ID)
    while True:
        rows = await visit.site.ledger.audit(before, PAGE)
        yield [(row.event_id, row.type, row.actor, row.recorded_at, row.detail) for row in rows]
        if len(rows) < PAGE:
            return
        before = (rows[-1].recorded_at, rows[-1].event_id)


async def _signups(visit: Visit, given: dict[str, str]) -> Groups:
    rows = await visit.site.reads.signups(named(periods.checked(given.get("period")), visit.site.clock()))
    yield [(row.source or None, row.medium or None, row.campaign or None, row.signups) for row in rows]


def _columns(**kinds: ColumnKind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


_SUMS = {"events": COUNT, "charges": COUNT, "tokens": COUNT, "total_cents": CENTS, "total_cents_before": CENTS}
_RANKED = _SUMS | {"succeeded": COUNT, "ended": COUNT}
TABLES = {
    "customers": Table(
        ("period", "q"),
        _columns(
            **{"customer_id": TEXT, "name": TEXT, "test": FLAG, "metered": FLAG, "events": COUNT, "total_cents": CENTS},
            **{"events_before": COUNT, "total_cents_before": CENTS, "last_event_at": TIME},
        ),
        _customers,
    ),
    "agents": Table(("period",), _columns(agent_id=TEXT, **_RANKED), _ranked("agent_id")),
    "actions": Table(("period",), _columns(action=TEXT, **_RANKED), _ranked("action")),
    "outcomes": Table(
        filters.OUTCOME_FILTERS,
        _columns(
            **{"outcome_id": TEXT, "state": TEXT, "customer_id": TEXT, "agent_id": TEXT, "action": TEXT},
            **{"task_id": TEXT, "opened_by": TEXT, "price_on_success_cents": CENTS, "price_on_failure_cents": CENTS},
            **{"charge_cents": CENTS, "revenue_cents": CENTS, "voided": FLAG, "on_expiry": TEXT, "test": FLAG},
            **{"opened_at": TIME, "expires_at": TIME, "ended_at": TIME},
        ),
        _outcomes,
    ),
    "prices": Table(
        ("history",),
        _columns(
            **{"id": COUNT, "customer_id": TEXT, "action_type": TEXT, "model": TEXT, "provider": TEXT},
            **{"base_rate_cents": CENTS, "token_rate_cents": CENTS, "outcome_bonus_cents": CENTS, "rates": TEXT},
            **{"tiers": TEXT, "ignore_unknown": FLAG, "is_active": FLAG, "scheduled": FLAG, "effective_at": TIME},
            **{"created_at": TIME, "ended_at": TIME},
        ),
        _prices,
    ),
    "keys": Table(
        (),
        _columns(
            **{"id": COUNT, "api_key_masked": TEXT, "customer_id": TEXT, "customer_name": TEXT, "is_active": FLAG},
            **{"test": FLAG, "created_at": TIME, "last_used_at": TIME},
        ),
        _keys,
    ),
    "audit": Table((), _columns(event_id=COUNT, type=TEXT, actor=TEXT, recorded_at=TIME, detail=TEXT), _audit),
    "signups": Table(("period",), _columns(source=TEXT, medium=TEXT, campaign=TEXT, signups=COUNT), _signups),
}
"""By the name of the file."""
