"""/replay: what a time would have earned at other prices. The address holds the scenario."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from aiohttp import hdrs, web

from schemas.commands import Rates
from schemas.price_match import ANY, PriceSlot
from warehouse.replay import ChangedPrice
from web import readings, replays
from web.data.replay_changes import changes_of, decoded, row_of
from web.data.replay_data import part
from web.replays import Scenario
from web.routes import Audience, WebRoute
from web.views import replay_view
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = "/replay"
FIELDS = ("from", "to", "customer_id", "changes")
NEW = "new"
MOST_TEXT = 6000
"""Characters of the changes in an address."""
_TOO_LONG = "These are too many changes for a page. Send them to POST /api/admin/pricing/replay."


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _show),
        WebRoute(hdrs.METH_POST, PATH, Audience.OWNER, _choose),
    ]


async def _show(visit: Visit) -> web.Response:
    given = visit.query(FIELDS)
    now = visit.site.clock()
    time = replays.time_range(given.get("from"), given.get("to"), now)
    changes = changes_of(decoded(given["changes"])) if "changes" in given else []
    scenario = Scenario(time, given.get("customer_id", ""), changes)
    prices = await replays.prices_in_force(visit.site.api)
    return await _page(visit, scenario, prices)


async def _page(visit: Visit, scenario: Scenario, prices: Mapping[PriceSlot, Rates | None]) -> web.Response:
    site = visit.site
    found = await replays.run(site, scenario, prices)
    shown = [row.name for row in part(found, "customer")[: replay_view.MOST_LINES]]
    names = await readings.names(site.reads, shown)
    rows = [row_of(change) for change in scenario.changes]
    return visit.page(
        "replay.html",
        start=_date(scenario.time.start),
        end=_date(scenario.time.end),
        customer=scenario.customer,
        rows=replay_view.editable(prices, scenario.changes, scenario.customer),
        result=replay_view.assemble(found, scenario.time, names),
        changed=bool(scenario.changes),
        query=urlencode({name: text for name, text in visit.request.query.items() if text}),
        changes=json.dumps(rows, ensure_ascii=False),
        call=replay_view.apply_call(rows, visit.address),
    )


async def _choose(visit: Visit) -> web.Response:
    """Turn the form into an address, and go there."""
    form = await visit.form()
    known = await replays.prices_in_force(visit.site.api)
    changes = [*_changed(form, known), *_added(form)]
    query = {name: form[name].strip() for name in ("from", "to", "customer_id") if form.get(name, "").strip()}
    replays.time_range(query.get("from"), query.get("to"), visit.site.clock())
    if changes:
        rows = [row_of(change) for change in changes]
        changes_of(rows)
        query["changes"] = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    address = f"{PATH}?{urlencode(query)}"
    if len(address) > MOST_TEXT:
        raise Refusal(400, "invalid_request", _TOO_LONG)
    return visit.see(address)


def _changed(form: Mapping[str, str], known: Mapping[PriceSlot, Rates | None]) -> list[ChangedPrice]:
    changes = []
    for name, text in form.items():
        kind, _, number = name.partition(":")
        if kind != "slot":
            continue
        slot = _slot(text)
        now = known.get(slot)
        rates = replay_view.rates_of_form(form, number, slot.action, now is not None and now.ignore_unknown)
        if rates is not None and rates != now:
            changes.append(ChangedPrice(slot, rates))
    return changes


def _added(form: Mapping[str, str]) -> list[ChangedPrice]:
    action = form.get("action:new", "").strip()
    rates = replay_view.rates_of_form(form, NEW, action or ANY, ignore_unknown=False)
    if rates is None:
        return []
    customer, model, provider = (form.get(f"{name}:new", "").strip() for name in ("customer", "model", "provider"))
    return [ChangedPrice(PriceSlot(customer or None, action or ANY, model or None, provider or None), rates)]


def _slot(text: str) -> PriceSlot:
    given = decoded(text)
    if not isinstance(given, list) or len(given) != len(PriceSlot._fields):
        raise invalid("slot must be a list of customer, action, model and provider")
    if not all(isinstance(one, str | None) for one in given) or given[1] is None:
        raise invalid("slot must be a list of names")
    return PriceSlot(*given)


def _date(at: int) -> str:
    """Return a time as the form shows it: a date where it is one."""
    known = datetime.fromtimestamp(at // 1000, UTC)
    text = known.isoformat().replace("+00:00", "Z")
    return text.removesuffix("T00:00:00Z")
