"""/keys: the owner's list of API keys; make one, which is shown once, and revoke one."""

from urllib.parse import urlencode

from aiohttp import hdrs, web

from web.gateway_api import GatewayApi
from web.routes import Audience, WebRoute
from web.views.keys_view import KeyLine, key_line, key_lines
from web.visits import Visit
from web.web_refusals import Refusal

PATH = "/keys"
API = "/api/admin/api-keys"
LIST = 50
REVOKED = "The key is revoked. Every gateway refuses it within a second."


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    one = PATH + "/{id}/revoke"
    return [
        WebRoute(hdrs.METH_GET, PATH, Audience.OWNER, _list),
        WebRoute(hdrs.METH_POST, PATH, Audience.OWNER, _create),
        WebRoute(hdrs.METH_GET, one, Audience.OWNER, _ask),
        WebRoute(hdrs.METH_POST, one, Audience.OWNER, _revoke),
    ]


async def _list(visit: Visit) -> web.Response:
    query = visit.query(("cursor", "done", "customer_id"))
    given = {"customer_id": query.get("customer_id", "")}
    return await _show(visit, given, cursor=query.get("cursor", ""), done=REVOKED if "done" in query else "")


async def _create(visit: Visit) -> web.Response:
    form = await visit.form()
    body = {
        "customer_id": form.get("customer_id", "").strip(),
        "customer_name": form.get("customer_name", "").strip() or None,
        "test": "test" in form,
    }
    try:
        made = await visit.site.api.call("POST", API, body)
    except Refusal as refusal:
        if refusal.status != 400:
            raise
        return await _show(visit, form, status=400, problem=refusal.sentence)
    # shown by this response alone: the address of a page that could be opened again would keep the secret
    return visit.page("key_made.html", 201, key=key_line(made), secret=made["api_key"])


async def _ask(visit: Visit) -> web.Response:
    visit.query(())
    return visit.page("key_revoke.html", key=await _found(visit))


async def _revoke(visit: Visit) -> web.Response:
    await visit.site.api.call("DELETE", f"{API}/{visit.number('id')}")
    return visit.see(f"{PATH}?done=1")


async def _show(
    visit: Visit, form: dict[str, str], *, status: int = 200, cursor: str = "", problem: str = "", done: str = ""
) -> web.Response:
    asked = urlencode({"limit": str(LIST), **({"cursor": cursor} if cursor else {})})
    page = await visit.site.api.call("GET", f"{API}?{asked}")
    following = page["next_cursor"]
    return visit.page(
        "keys.html",
        status,
        keys=key_lines(page["keys"]),
        form=form,
        problem=problem,
        done=done,
        following=f"{PATH}?{urlencode({'cursor': following})}" if following else "",
    )


async def _found(visit: Visit) -> KeyLine:
    """Return the key of this address. Raises Refusal."""
    return key_line(await visit.site.api.call("GET", f"{API}/{visit.number('id')}"))


async def every_key(api: GatewayApi) -> list[KeyLine]:
    """Return all API keys, the newest first. Raises Refusal."""
    return key_lines(await api.whole_list(API, "keys"))
