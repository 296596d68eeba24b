"""/replay/scenarios: saved scenarios beside each other; and /replay/apply: a scenario's prices into force."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

from aiohttp import hdrs, web

from warehouse.replay import Replayed
from warehouse.saved_scenarios import MOST, ScenarioRow
from warehouse.time_range import named
from web import periods, readings, replays
from web.data.replay_changes import changes_of, decoded, row_of
from web.replays import Scenario
from web.routes import Audience, WebRoute
from web.views import scenarios_view
from web.views.price_rows import PriceRow, price_row
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = "/replay/scenarios"
APPLY = "/replay/apply"
BULK = "/api/admin/pricing/bulk"
LONGEST = 80
"""Characters of a name."""
AT_ONCE = 2
"""Replays that run at the same time."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner, get, post = Audience.OWNER, hdrs.METH_GET, hdrs.METH_POST
    return [
        WebRoute(get, PATH, owner, _list),
        WebRoute(post, PATH, owner, _save),
        WebRoute(post, PATH + "/delete", owner, _delete),
        WebRoute(get, APPLY, owner, _ask),
        WebRoute(post, APPLY, owner, _apply),
    ]


async def _list(visit: Visit) -> web.Response:
    query = visit.query(("period", "done"))
    period = periods.checked(query.get("period"))
    site = visit.site
    time = named(period, site.clock())
    rows = await site.scenarios.all()
    prices = await replays.prices_in_force(site.api)
    turns = asyncio.Semaphore(AT_ONCE)

    async def replayed(row: ScenarioRow) -> tuple[ScenarioRow, list[Any], Replayed | str]:
        changes = changes_of(decoded(row.changes))
        async with turns:
            try:
                return row, changes, await replays.run(site, Scenario(time, row.customer, changes), prices)
            except Refusal as refusal:
                return row, changes, refusal.sentence

    found = await asyncio.gather(*(replayed(row) for row in rows))
    return visit.page(
        "scenarios.html",
        lines=scenarios_view.lines(found),
        period=period,
        periods=periods.PERIODS,
        done={"saved": "The scenario is saved.", "deleted": "The scenario is deleted."}.get(query.get("done", ""), ""),
    )


async def _save(visit: Visit) -> web.Response:
    form = await visit.form()
    name = form.get("name", "").strip()
    if not 1 <= len(name) <= LONGEST:
        raise invalid(f"name must have 1 to {LONGEST} characters")
    changes = _changes(form.get("changes", ""))
    saved = await visit.site.scenarios.all()
    if len(saved) >= MOST and name not in {row.name for row in saved}:
        raise Refusal(409, "too_many", f"There are {MOST} scenarios already. Delete one first.")
    text = json.dumps(changes, ensure_ascii=False, separators=(",", ":"))
    await visit.site.scenarios.save(ScenarioRow(name, form.get("customer_id", "").strip(), text, visit.site.clock()))
    return visit.see(f"{PATH}?{urlencode({'done': 'saved'})}")


async def _delete(visit: Visit) -> web.Response:
    name = (await visit.form()).get("name", "")
    await visit.site.scenarios.save(ScenarioRow(name, "", "[]", visit.site.clock()), deleted=True)
    return visit.see(f"{PATH}?{urlencode({'done': 'deleted'})}")


async def _ask(visit: Visit) -> web.Response:
    """Show what the price list would change, as the gateway says, and ask once."""
    rows = _changes(visit.query(("changes",)).get("changes", ""))
    shown = await visit.site.api.call("POST", f"{BULK}?preview=true", {"rows": rows})
    listed = [(one["change"], _row(one.get("old")), _row(one["new"])) for one in shown["rows"]]
    customers = {row.slot.customer_id or "" for _, _, row in listed if row is not None}
    return visit.page(
        "apply.html",
        listed=listed,
        counts={name: shown[name] for name in ("added", "changed", "unchanged")},
        names=await readings.names(visit.site.reads, customers),
        changes=json.dumps(rows, ensure_ascii=False),
        back=f"/replay?{urlencode({'changes': json.dumps(rows, ensure_ascii=False)})}",
    )


async def _apply(visit: Visit) -> web.Response:
    rows = _changes((await visit.form()).get("changes", ""))
    await visit.site.api.call("POST", BULK, {"rows": rows})
    return visit.see(f"/prices?{urlencode({'done': 'list'})}")


def _changes(text: str) -> list[dict[str, Any]]:
    """Return the rows of a scenario as the API takes them. Raises Refusal."""
    changes = changes_of(decoded(text))
    if not changes:
        raise invalid("changes must have a price row")
    return [row_of(change) for change in changes]


def _row(shown: dict[str, Any] | None) -> PriceRow | None:
    """Return the terms of a price, which has no id or times yet, as a row."""
    unknown = {"id": 0, "is_active": False, "created_at": "1970-01-01T00:00:00Z", "ended_at": None}
    return None if shown is None else price_row({**unknown, **shown})
