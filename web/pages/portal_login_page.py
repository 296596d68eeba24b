"""The doors of the customer portal: an API key, or a link that the owner made, begins a session of its customer."""

import re
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from web import metrics
from web.pages.login_page import held_cookie, is_fresh_form, local_path, login_form, waited
from web.routes import Audience, WebRoute
from web.visits import PORTAL, Visit, client_of
from web.web_refusals import Refusal

COOKIE = "rev_portal"
KEY = re.compile(r"rg_[0-9A-Za-z_]{1,200}", re.ASCII)
EVERYONE = "*"
"""The customer of a platform key."""
STALE = "This page was open for too long. Please try again."
OVER = "This link is not valid any more. Ask for a new one, or sign in with an API key."


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    everyone = Audience.EVERYONE
    return [
        WebRoute(hdrs.METH_GET, f"{PORTAL}/login", everyone, _show),
        WebRoute(hdrs.METH_POST, f"{PORTAL}/login", everyone, _sign_in),
        WebRoute(hdrs.METH_GET, f"{PORTAL}/enter", everyone, _ask),
        WebRoute(hdrs.METH_POST, f"{PORTAL}/enter", everyone, _enter),
        WebRoute(hdrs.METH_POST, f"{PORTAL}/logout", Audience.PORTAL, _sign_out),
    ]


async def _show(visit: Visit) -> web.Response:
    return _form(visit, _next(visit.request.query.get("next", PORTAL)))


async def _sign_in(visit: Visit) -> web.Response:
    site, form = visit.site, await visit.form()
    next_path = _next(form.get("next", PORTAL))
    if not is_fresh_form(visit, form):
        metrics.PORTAL_LOGINS.labels("forged").inc()
        return _form(visit, next_path, 403, STALE)
    client = client_of(visit.request)
    wait = site.portal_limits.attempt(client)
    if wait > 0:
        metrics.PORTAL_LOGINS.labels("limited").inc()
        return waited(wait, lambda status, problem: _form(visit, next_path, status, problem))
    key = await _key(visit, form.get("key", "").strip())
    if key is None:
        metrics.PORTAL_LOGINS.labels("wrong").inc()
        return _form(visit, next_path, 401, "This is not an API key, or it is revoked.")
    site.portal_limits.forget(client)
    if key["customer_id"] == EVERYONE:
        metrics.PORTAL_LOGINS.labels("platform").inc()
        problem = "This key acts for every customer. Sign in with a key of one customer."
        return _form(visit, next_path, 403, problem)
    metrics.PORTAL_LOGINS.labels("right").inc()
    session, cookie = site.signer.begin_portal(key["customer_id"], key["test"], key["id"])
    return _begun(visit, next_path, cookie, session.expires)


async def _ask(visit: Visit) -> web.Response:
    """Show whose portal a link opens. Entering takes a click, so that no preview of a link begins a session."""
    text = visit.query(("link",)).get("link", "")
    link = visit.site.signer.portal_link_of(text)
    if link is None:
        return _form(visit, PORTAL, 403, OVER)
    return login_form(visit, "portal_enter.html", path=f"{PORTAL}/enter", link=link, text=text)


async def _enter(visit: Visit) -> web.Response:
    form = await visit.form()
    link = visit.site.signer.portal_link_of(form.get("link", ""))
    if not is_fresh_form(visit, form):
        metrics.PORTAL_LOGINS.labels("forged").inc()
        return _form(visit, PORTAL, 403, STALE)
    if link is None:
        metrics.PORTAL_LOGINS.labels("wrong").inc()
        return _form(visit, PORTAL, 403, OVER)
    metrics.PORTAL_LOGINS.labels("link").inc()
    session, cookie = visit.site.signer.begin_portal(link.customer_id, link.test, until=link.expires)
    return _begun(visit, PORTAL, cookie, session.expires)


async def _sign_out(visit: Visit) -> web.Response:
    visit.site.signer.end(visit.portal.session)
    response = visit.see(f"{PORTAL}/login")
    response.del_cookie(COOKIE, path=PORTAL)
    return response


async def _key(visit: Visit, secret: str) -> Mapping[str, Any] | None:
    """Return the key with this secret, as the gateway shows it; None if it refuses it. Raises Refusal."""
    if not KEY.fullmatch(secret):
        return None
    try:
        found: Mapping[str, Any] = await visit.site.api.call("GET", "/v1/key", key=secret)
    except Refusal as refusal:
        if refusal.status == 401:
            return None
        raise
    return found


def _begun(visit: Visit, next_path: str, cookie: str, expires: int) -> web.Response:
    response = visit.see(next_path)
    seconds = (expires - visit.site.clock()) // 1000
    held_cookie(visit, response, COOKIE, cookie, seconds, path=PORTAL)
    return response


def _next(given: str) -> str:
    """Return where to go after signing in: a page of the portal."""
    path = local_path(given)
    return path if path == PORTAL or path.startswith((f"{PORTAL}/", f"{PORTAL}?")) else PORTAL


def _form(visit: Visit, next_path: str, status: int = 200, problem: str = "") -> web.Response:
    path = f"{PORTAL}/login"
    return login_form(visit, "portal_login.html", status, path=path, next_path=next_path, problem=problem)
