"""/customers/{customer_id}/billing: currency, tax, terms and address of its next invoices."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from schemas.billing import MINOR_DIGITS
from web.routes import Audience, WebRoute
from web.views import billing_form
from web.views.customers_view import profile
from web.views.dollars import FormProblem
from web.visits import Visit
from web.web_refusals import Refusal

PATH = "/customers/{customer_id}/billing"
API = "/api/admin/customers"
KEPT = (400, 409)
"""Statuses of the API that are shown in the form."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner = Audience.OWNER
    return [WebRoute(hdrs.METH_GET, PATH, owner, _one), WebRoute(hdrs.METH_POST, PATH, owner, _change)]


async def _one(visit: Visit) -> web.Response:
    done = "Saved. It holds from the next invoice on." if "done" in visit.query(("done",)) else ""
    shown = await visit.site.api.call("GET", f"{_api_path(visit)}/billing")
    return await _show(visit, billing_form.fields_of(shown), done=done)


async def _change(visit: Visit) -> web.Response:
    form = await visit.form()
    try:
        await visit.site.api.call("PUT", f"{_api_path(visit)}/billing", billing_form.body_of(form))
    except FormProblem as problem:
        return await _show(visit, form, problem=str(problem))
    except Refusal as refusal:
        if refusal.status not in KEPT:
            raise
        return await _show(visit, form, problem=refusal.sentence)
    id = quote(visit.request.match_info["customer_id"], safe="")
    return visit.see(f"/customers/{id}/billing?done=1")


async def _show(visit: Visit, fields: Mapping[str, Any], *, problem: str = "", done: str = "") -> web.Response:
    shown = profile(await visit.site.api.call("GET", _api_path(visit)))
    return visit.page(
        "billing.html",
        400 if problem else 200,
        shown=shown,
        whole=f"/customers/{quote(shown.id, safe='')}",
        fields={name: fields.get(name, "") for name in billing_form.FIELDS},
        intervals=billing_form.INTERVALS,
        currencies={code: code.upper() for code in sorted(MINOR_DIGITS)},
        problem=problem,
        done=done,
    )


def _api_path(visit: Visit) -> str:
    return f"{API}/{quote(visit.request.match_info['customer_id'], safe='')}"
