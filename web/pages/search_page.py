"""/search: jumps to the customer, agent, event or outcome with this id, or lists what has a name like it."""

import asyncio
import re
from urllib.parse import quote, urlencode

from aiohttp import hdrs, web

from schemas.ids import outcome_id
from warehouse.account_rows import CustomerQuery
from warehouse.activity_rows import BOTH, OutcomeSearch, OutcomeStateRow
from warehouse.dashboard_rows import RankKey
from warehouse.rows import MAX_ID
from warehouse.time_range import DEFAULT_PERIOD, named
from web import filters, periods
from web.pages import customers_page
from web.routes import Audience, WebRoute
from web.visits import Visit
from web.web_refusals import Refusal

PATH = "/search"
LISTED = 10
RANKED = 1000
"""Agents and actions of the last 30 days among which a name is looked for."""
KEYS = {
    "task_id": "with the task {}",
    "trace_id": "with the trace {}",
    "idempotency_key": "with the idempotency key {}",
    "import_id": "with the import {}",
    "model": "with the model {}",
    "metadata": "with {} in their metadata",
}
"""By which events may be looked for."""
_EVENT = re.compile(r"(?:evt_)?(0|[1-9][0-9]{0,15})", re.ASCII)
_OUTCOME = re.compile(r"oc_(0|[1-9][0-9]{0,15})", re.ASCII)


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _search)]


async def _search(visit: Visit) -> web.Response:
    given = visit.query(("q",))
    text = filters.name(given, "q").strip()
    target = await _target(visit, text) if text else ""
    if target:
        return visit.see(target)
    customers, agents, actions, outcomes = await asyncio.gather(
        _customers(visit, text),
        _names(visit, "agent_id", text),
        _names(visit, "action", text),
        _outcomes(visit, text),
    )
    if text in agents and text not in actions and not outcomes:
        return visit.see(_agent(text))
    return visit.page(
        "search.html",
        search_text=text,
        customers=[(name or id, id if name else "", customers_page.path_of(id)) for id, name in customers],
        agents=[(name, "", _agent(name)) for name in agents],
        actions=[(name, "", f"/actions?{urlencode({'action': name})}") for name in actions],
        outcomes=[(row.task_id, row.state, f"/outcomes/{row.outcome_id}") for row in outcomes],
        events=[(words.format(text), "", f"/events?{urlencode({key: text})}") for key, words in KEYS.items()]
        if text
        else [],
    )


def _agent(name: str) -> str:
    return f"/agents?{urlencode({'agent': name})}"


async def _target(visit: Visit, text: str) -> str:
    """Return the address of the one thing with this id, or ''. Raises Refusal."""
    if outcome := _OUTCOME.fullmatch(text):
        return await _of_entry(visit, int(outcome[1]), f"/outcomes/{text}")
    if event := _EVENT.fullmatch(text):
        found = await _of_entry(visit, int(event[1]), f"/events/{event[1]}")
        if found:
            return found
    try:
        await visit.site.api.call("GET", f"{customers_page.API}/{quote(text, safe='')}")
    except Refusal as refusal:
        if refusal.status == 404:
            return ""
        raise
    return customers_page.path_of(text)


async def _of_entry(visit: Visit, id: int, path: str) -> str:
    """Return the path if the ledger has an entry with this id that it may lead to; else ''."""
    row = await visit.site.activity.entry(id) if id <= MAX_ID else None
    if row is None or row.kind == "config":
        return ""
    return "" if path.startswith("/outcomes") and row.outcome_id != outcome_id(id) else path


async def _customers(visit: Visit, text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    now = visit.site.clock()
    time = named(DEFAULT_PERIOD, now)
    query = CustomerQuery(time, periods.before(time, now), text, LISTED)
    return [(row.id, row.name) for row in await visit.site.accounts.customers(query)]


async def _outcomes(visit: Visit, text: str) -> list[OutcomeStateRow]:
    """Return the outcomes of the task with this id, which more than one customer may have."""
    if not text:
        return []
    search = OutcomeSearch(visit.site.clock(), task_id=text, tests=BOTH, limit=LISTED)
    return await visit.site.activity.outcomes(search)


async def _names(visit: Visit, key: RankKey, text: str) -> list[str]:
    """Return the agents or actions of the last 30 days whose names hold the text, those that earn most first."""
    if not text:
        return []
    rows = await visit.site.reads.ranked(named(DEFAULT_PERIOD, visit.site.clock()), key, RANKED)
    return [row.name for row in rows if not row.others and text.casefold() in row.name.casefold()][:LISTED]
