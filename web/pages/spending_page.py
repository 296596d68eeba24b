"""/customers/{customer_id}/spending: prepaid credit and budgets of one customer; grant, set and delete them."""

from urllib.parse import quote, urlencode

from aiohttp import hdrs, web

from web.routes import Audience, WebRoute
from web.spending_readings import BUDGETS, CREDITS, spending
from web.views import spending_form
from web.views.customers_view import Profile, profile
from web.views.dollars import FormProblem
from web.views.spending_view import PERIODS, SCOPES
from web.visits import FORM_FIELD, Visit
from web.web_refusals import Refusal, invalid

PATH = "/customers/{customer_id}/spending"
API = "/api/admin/customers"
MODES = {"live": "Live", "test": "Test"}
ON_EMPTY = {"charge": "is due", "refuse": "is refused"}
DONE = {
    "granted": "The credit is granted; it pays from the next event on.",
    "budget": "The budget holds for every event after it.",
    "deleted": "The budget is deleted.",
    "saved": "Saved.",
}
KEPT = (400, 404, 409)
"""Statuses of the API that are shown in the form."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner, get, post = Audience.OWNER, hdrs.METH_GET, hdrs.METH_POST
    return [
        WebRoute(get, PATH, owner, _one),
        WebRoute(post, PATH + "/credit", owner, _grant),
        WebRoute(post, PATH + "/budget", owner, _budget),
        WebRoute(post, PATH + "/on-empty", owner, _on_empty),
        WebRoute(get, PATH + "/budgets/{id}/delete", owner, _ask),
        WebRoute(post, PATH + "/budgets/{id}/delete", owner, _delete),
    ]


def path_of(customer_id: str) -> str:
    """Return the address of the page of a customer."""
    return PATH.replace("{customer_id}", quote(customer_id, safe=""))


async def _one(visit: Visit) -> web.Response:
    query = visit.query(("mode", "done"))
    shown = await _profile(visit)
    return await _show(visit, shown, _mode(query, shown), done=DONE.get(query.get("done", ""), ""))


async def _grant(visit: Visit) -> web.Response:
    return await _make(visit, CREDITS, "granted")


async def _budget(visit: Visit) -> web.Response:
    return await _make(visit, BUDGETS, "budget")


async def _make(visit: Visit, path: str, done: str) -> web.Response:
    form, shown = await visit.form(), await _profile(visit)
    mode = _mode(form, shown)
    body_of = spending_form.grant_body if path == CREDITS else spending_form.budget_body
    try:
        body = body_of(shown.id, mode == "test", form, form[FORM_FIELD])
        await visit.site.api.call("POST", path, body)
    except FormProblem as problem:
        return await _show(visit, shown, mode, fields=form, problem=str(problem), of=done)
    except Refusal as refusal:
        if refusal.status not in KEPT:
            raise
        return await _show(visit, shown, mode, fields=form, problem=refusal.sentence, of=done)
    return visit.see(f"{path_of(shown.id)}?{urlencode({'mode': mode, 'done': done})}")


async def _on_empty(visit: Visit) -> web.Response:
    form, shown = await visit.form(), await _profile(visit)
    if form.get("on_empty") not in ON_EMPTY:
        raise invalid(f"on_empty must be one of {', '.join(ON_EMPTY)}")
    await visit.site.api.call("PATCH", f"{API}/{quote(shown.id, safe='')}", {"on_empty": form["on_empty"]})
    return visit.see(f"{path_of(shown.id)}?{urlencode({'mode': _mode(form, shown), 'done': 'saved'})}")


async def _ask(visit: Visit) -> web.Response:
    mode = _mode(visit.query(("mode",)), shown := await _profile(visit))
    view = await spending(visit.site, shown.id, mode == "test")
    budget = next((one for one in view.budgets if one.id == visit.number("id")), None)
    if budget is None:
        raise Refusal(404, "not_found", "There is no such budget.")
    return visit.page("budget_delete.html", shown=shown, here=path_of(shown.id), mode=mode, budget=budget)


async def _delete(visit: Visit) -> web.Response:
    form, shown = await visit.form(), await _profile(visit)
    await visit.site.api.call("DELETE", f"{BUDGETS}/{visit.number('id')}?customer_id={quote(shown.id, safe='')}")
    return visit.see(f"{path_of(shown.id)}?{urlencode({'mode': _mode(form, shown), 'done': 'deleted'})}")


async def _show(
    visit: Visit,
    shown: Profile,
    mode: str,
    *,
    fields: dict[str, str] | None = None,
    problem: str = "",
    of: str = "",
    done: str = "",
) -> web.Response:
    return visit.page(
        "spending.html",
        400 if problem else 200,
        shown=shown,
        here=path_of(shown.id),
        mode=mode,
        modes=MODES,
        view=await spending(visit.site, shown.id, mode == "test"),
        on_empty=ON_EMPTY,
        scopes=SCOPES,
        terms=PERIODS,
        priorities=spending_form.PRIORITIES,
        categories=spending_form.CATEGORIES,
        kinds=spending_form.HARD,
        fields=fields or {},
        problem=problem,
        of=of,
        done=done,
    )


async def _profile(visit: Visit) -> Profile:
    id = quote(visit.request.match_info["customer_id"], safe="")
    return profile(await visit.site.api.call("GET", f"{API}/{id}"))


def _mode(given: dict[str, str], shown: Profile) -> str:
    mode = given.get("mode") or ("test" if shown.test else "live")
    if mode not in MODES:
        raise invalid(f"mode must be one of {', '.join(MODES)}")
    return mode
