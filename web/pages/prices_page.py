"""/prices: rows in force and past; set one after a preview of what it would have earned, and end one."""

from urllib.parse import urlencode

from aiohttp import hdrs, web

from schemas.months import month_of
from warehouse.time_range import named
from web import readings, replays, unpriced_readings
from web.data.replay_changes import FIELDS, change_of
from web.data.replay_data import part
from web.pages import price_lists
from web.replays import Scenario
from web.routes import Audience, WebRoute
from web.views import month_preview, price_form, replay_view
from web.views.dollars import FormProblem
from web.views.month_preview import MonthPreview
from web.views.price_rows import PriceRow
from web.views.replay_view import ReplayResult
from web.visits import FORM_FIELD, Visit
from web.web_refusals import Refusal, invalid

PATH = "/prices"
API = price_lists.API
PERIOD = "30d"
"""What a preview is made over."""
MOST_ROWS = 200
"""Rows that one page shows; a search finds the others."""
DONE = {
    "set": "The price is in force.",
    "scheduled": "The price is scheduled.",
    "list": "The prices are in force.",
    "ended": "The price has ended.",
}
LISTS = {"0": "In force", "1": "History"}


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner = Audience.OWNER
    return [
        WebRoute(hdrs.METH_GET, PATH, owner, _list),
        WebRoute(hdrs.METH_POST, PATH, owner, _save),
        WebRoute(hdrs.METH_GET, PATH + "/new", owner, _new),
        WebRoute(hdrs.METH_POST, PATH + "/preview", owner, _preview),
        WebRoute(hdrs.METH_GET, PATH + "/{id}/end", owner, _ask),
        WebRoute(hdrs.METH_POST, PATH + "/{id}/end", owner, _end),
    ]


async def _list(visit: Visit) -> web.Response:
    query = visit.query(("q", "history", "done"))
    history, search = query.get("history", "0"), query.get("q", "").strip()
    if history not in LISTS:
        raise invalid("history must be 0 or 1")
    if history == "1":
        rows = await price_lists.with_past(visit.site.api)
    else:
        rows = sorted(await price_lists.with_scheduled(visit.site.api), key=_place)
    missing = await unpriced_readings.unpriced(visit.site)
    theirs = {line.customer_id for line in missing.lines} if missing else set()
    names = await readings.names(visit.site.reads, {row.slot.customer_id or "" for row in rows} | theirs)
    found = price_lists.found(rows, search, names)
    return visit.page(
        "prices.html",
        rows=[row for row in found if not row.scheduled][:MOST_ROWS],
        found=sum(not row.scheduled for row in found),
        scheduled=sorted((row for row in found if row.scheduled), key=_start)[:MOST_ROWS],
        names=names,
        search_text=search,
        history=history,
        lists=LISTS,
        done=DONE.get(query.get("done", ""), ""),
        unpriced=missing,
    )


async def _new(visit: Visit) -> web.Response:
    query = visit.query(("like", "customer_id", "action_type"))
    like = query.pop("like", None)
    if like is None:
        return _form(visit, query)
    row = await _row(visit, like)
    if row.beyond:
        had = ", ".join(row.beyond)
        raise Refusal(
            400, "invalid_request", f"Price {row.id} has {had}, which the form has not; change it by the API."
        )
    return _form(visit, price_form.fields_of(row))


async def _preview(visit: Visit) -> web.Response:
    fields = await _fields(visit)
    step = fields.pop("step", "")
    if step in ("more", "edit"):
        return _form(visit, fields, more=price_form.MORE_ROWS if step == "more" else 0)
    try:
        new = price_form.new_row(fields)
    except FormProblem as problem:
        return _form(visit, fields, str(problem))
    in_force = await price_lists.in_force(visit.site.api)
    return visit.page(
        "price_preview.html",
        new=new,
        now=next((row for row in in_force if row.slot == new.slot), None),
        # a replay prices events one by one, and does not settle months
        result=None if new.is_settled else await _replayed(visit, new, in_force),
        months=await _months(visit, new, in_force) if new.is_settled else None,
        names=await readings.names(visit.site.reads, {new.slot.customer_id or ""}),
        fields=fields,
    )


async def _replayed(visit: Visit, new: PriceRow, in_force: list[PriceRow]) -> ReplayResult:
    """Return what a replay of the last days finds with the new row over those in force."""
    site = visit.site
    row = {name: value for name, value in price_form.body_of(new).items() if name in FIELDS}
    time = named(PERIOD, site.clock())
    scenario = Scenario(time, new.slot.customer_id or "", [change_of(row, "price")])
    found = await replays.run(site, scenario, [row.slot for row in in_force])
    shown = [line.name for line in part(found, "customer")[: replay_view.MOST_LINES]]
    return replay_view.assemble(found, time, await readings.names(site.reads, shown))


async def _months(visit: Visit, new: PriceRow, in_force: list[PriceRow]) -> MonthPreview:
    """Return what the new row would have charged last month and in this one."""
    site, now = visit.site, visit.site.clock()
    rows = await replays.months(site, new.slot, [row.slot for row in in_force], now)
    names = await readings.names(site.reads, {row.customer for row in rows})
    return month_preview.assemble(new, rows, month_of(now), names)


async def _save(visit: Visit) -> web.Response:
    fields = await _fields(visit)
    try:
        new = price_form.new_row(fields)
        await visit.site.api.call("POST", API, price_form.body_of(new))
    except FormProblem as problem:
        return _form(visit, fields, str(problem))
    except Refusal as refusal:
        if refusal.status != 400:
            raise
        return _form(visit, fields, refusal.sentence)
    done = "set" if new.effective_at is None else "scheduled"
    return visit.see(f"{PATH}?{urlencode({'done': done})}")


async def _ask(visit: Visit) -> web.Response:
    visit.query(())
    return visit.page("price_end.html", row=await _row(visit, str(visit.number("id"))))


async def _end(visit: Visit) -> web.Response:
    await visit.site.api.call("DELETE", f"{API}/{visit.number('id')}")
    return visit.see(f"{PATH}?{urlencode({'done': 'ended'})}")


async def _fields(visit: Visit) -> dict[str, str]:
    return {name: text for name, text in (await visit.form()).items() if name != FORM_FIELD}


def _form(visit: Visit, fields: dict[str, str], problem: str = "", more: int = 0) -> web.Response:
    rows, stepped = price_form.rows_of(fields, more), price_form.stepped_of(fields)
    status = 400 if problem else 200
    return visit.page(
        "price_form.html",
        status,
        fields=fields,
        rows=rows,
        stepped=stepped,
        tier_modes=price_form.TIER_MODES,
        problem=problem,
    )


async def _row(visit: Visit, id: str) -> PriceRow:
    """Return a row in force or scheduled by its id. Raises Refusal."""
    for row in await price_lists.with_scheduled(visit.site.api):
        if str(row.id) == id:
            return row
    raise Refusal(404, "not_found", f"There is no price {id[:20]} in force.")


def _place(row: PriceRow) -> tuple[str, ...]:
    slot = row.slot
    return slot.customer_id or "", slot.action, slot.model or "", slot.provider or ""


def _start(row: PriceRow) -> int:
    return row.effective_at or 0
