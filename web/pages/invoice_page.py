"""/invoices/{number}: one invoice with its lines; its PDF and CSV; and what may be done with it."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from web import currency_amounts, readings
from web.invoice_readings import INVOICES, PUSHES
from web.pages import invoices_page
from web.routes import Audience, WebRoute
from web.views import invoice_view
from web.views.dollars import FormProblem
from web.visits import Visit
from web.web_refusals import Refusal, invalid

PATH = invoices_page.PATH
ONE = PATH + "/{number}"
DONE = {
    "paid": "The payment is recorded.",
    "void": "The invoice is void.",
    "uncollectible": "The invoice is marked as uncollectible.",
    "push": "Rev brings it to Stripe now.",
}
KEPT = (400, 409)
"""Statuses of the API that are shown in the form."""


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    owner, get, post = Audience.OWNER, hdrs.METH_GET, hdrs.METH_POST
    return [
        WebRoute(get, ONE + ".pdf", owner, _pdf),
        WebRoute(get, ONE + ".csv", owner, _csv),
        WebRoute(get, ONE, owner, _one),
        WebRoute(post, ONE + "/payments", owner, _pay),
        WebRoute(post, ONE + "/void", owner, _void),
        WebRoute(post, ONE + "/uncollectible", owner, _give_up),
        WebRoute(post, ONE + "/push", owner, _push),
    ]


def api_path(visit: Visit) -> str:
    """Return the API's path of the invoice in the address."""
    return f"{INVOICES}/{quote(visit.request.match_info['number'], safe='')}"


async def read(visit: Visit) -> Any:
    """Return the invoice in the address, as the API shows it. Raises Refusal."""
    return await visit.site.api.call("GET", api_path(visit))


async def send(visit: Visit, kind: str) -> web.Response:
    """Return the invoice in the address as a file: pdf or csv. Raises Refusal."""
    visit.query(())
    media_type, content = await visit.site.api.download(f"{api_path(visit)}?format={kind}")
    disposition = f'attachment; filename="{quote(visit.request.match_info["number"])}.{kind}"'
    return web.Response(body=content, content_type=media_type, headers={hdrs.CONTENT_DISPOSITION: disposition})


async def _pdf(visit: Visit) -> web.Response:
    return await send(visit, "pdf")


async def _csv(visit: Visit) -> web.Response:
    return await send(visit, "csv")


async def _one(visit: Visit) -> web.Response:
    done = visit.query(("done",)).get("done", "")
    return await _show(visit, await read(visit), done=DONE.get(done, ""))


async def _pay(visit: Visit) -> web.Response:
    form, shown = await visit.form(), await read(visit)
    reference = form.get("reference", "").strip()
    try:
        if not reference:
            raise FormProblem("reference is required: what names the payment, such as the id of the transfer")
        minor = currency_amounts.minor_of("amount", form.get("amount", ""), shown["invoice"]["currency"])
        body = {"reference": reference, "amount_cents": minor}
        await visit.site.api.call("POST", f"{api_path(visit)}/payments", body)
    except FormProblem as problem:
        return await _show(visit, shown, fields=form, problem=str(problem))
    except Refusal as refusal:
        if refusal.status not in KEPT:
            raise
        return await _show(visit, shown, fields=form, problem=refusal.sentence)
    return _back(visit, "paid")


async def _void(visit: Visit) -> web.Response:
    return await _close(visit, "void")


async def _give_up(visit: Visit) -> web.Response:
    return await _close(visit, "uncollectible")


async def _close(visit: Visit, done: str) -> web.Response:
    if (await visit.form()).get("confirmed") != "yes":
        raise invalid("confirmed must be checked: this cannot be undone.")
    await visit.site.api.call("POST", f"{api_path(visit)}/{done}")
    return _back(visit, done)


async def _push(visit: Visit) -> web.Response:
    form = await visit.form()
    await visit.site.api.call("POST", f"{api_path(visit)}/push")
    return visit.see(f"{PATH}?done=push") if form.get("back") == "list" else _back(visit, "push")


def _back(visit: Visit, done: str) -> web.Response:
    return visit.see(f"{PATH}/{quote(visit.request.match_info['number'], safe='')}?done={done}")


async def _show(
    visit: Visit,
    shown: Mapping[str, Any],
    *,
    fields: Mapping[str, str] | None = None,
    problem: str = "",
    done: str = "",
) -> web.Response:
    view = invoice_view.assemble(shown, visit.site.clock())
    names = await readings.names(visit.site.reads, [view.customer_id])
    pushes = await visit.site.api.call("GET", PUSHES)
    return visit.page(
        "invoice.html",
        400 if problem else 200,
        view=view,
        customer=names.get(view.customer_id, view.customer_id),
        push=next((one for one in pushes["pushes"] if one["number"] == view.number), None),
        fields=fields or {},
        problem=problem,
        done=done,
    )
