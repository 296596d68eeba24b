"""/login and /logout: the admin token makes a session, a cookie carries it."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import hdrs, web

from web import metrics
from web.routes import Audience, WebRoute
from web.session_cookie import LIFETIME
from web.visits import FORM_FIELD, Visit, client_of, is_https
from web.web_refusals import Refusal

COOKIE = "rev_session"
BEFORE = "rev_login"
"""The cookie of someone who is about to sign in; the login form's token belongs to it."""
HOME = "/dashboard"
MINUTES = 60


def routes() -> list[WebRoute]:
    """Return the routes of this module."""
    return [
        WebRoute(hdrs.METH_GET, "/login", Audience.EVERYONE, _show),
        WebRoute(hdrs.METH_POST, "/login", Audience.EVERYONE, _sign_in),
        WebRoute(hdrs.METH_POST, "/logout", Audience.OWNER, _sign_out),
    ]


def local_path(given: str) -> str:
    """Return where to go after signing in, if that is a path of this server; else the home page."""
    is_local = given.startswith("/") and not given.startswith("//") and given.isprintable() and "\\" not in given
    return given if is_local else HOME


async def _show(visit: Visit) -> web.Response:
    next_path = local_path(visit.request.query.get("next", HOME))
    return visit.see(next_path) if visit.session else _form(visit, next_path)


async def _sign_in(visit: Visit) -> web.Response:
    site, form = visit.site, await visit.form()
    next_path = local_path(form.get("next", HOME))
    if not is_fresh_form(visit, form):
        metrics.LOGINS.labels("forged").inc()
        return _form(visit, next_path, 403, "This page was open for too long. Please try again.")
    if not site.settings.admin_token:
        raise Refusal(403, "forbidden", "Nobody can sign in while REV_ADMIN_TOKEN is empty.")
    client = client_of(visit.request)
    wait = site.limits.attempt(client)
    if wait > 0:
        metrics.LOGINS.labels("limited").inc()
        return waited(wait, lambda status, problem: _form(visit, next_path, status, problem))
    if not site.is_admin_token(form.get("token", "").strip()):
        metrics.LOGINS.labels("wrong").inc()
        return _form(visit, next_path, 401, "This is not the admin token.")
    metrics.LOGINS.labels("right").inc()
    site.limits.forget(client)
    _, cookie = site.signer.begin()
    response = visit.see(next_path)
    held_cookie(visit, response, COOKIE, cookie, LIFETIME // 1000)
    response.del_cookie(BEFORE, path="/login")
    return response


async def _sign_out(visit: Visit) -> web.Response:
    assert visit.session is not None
    visit.site.signer.end(visit.session)
    response = visit.see("/login")
    response.del_cookie(COOKIE, path="/")
    return response


def _form(visit: Visit, next_path: str, status: int = 200, problem: str = "") -> web.Response:
    return login_form(visit, "login.html", status, path="/login", next_path=next_path, problem=problem)


def login_form(visit: Visit, template: str, status: int = 200, *, path: str, **values: Any) -> web.Response:
    """Return a page with a form that is sent to ``path``; its token belongs to a cookie of its own."""
    id = visit.site.signer.new_id()
    response = visit.page(template, status, form_token=visit.site.signer.form_token(id), **values)
    held_cookie(visit, response, BEFORE, id, None, path=path)
    return response


def is_fresh_form(visit: Visit, form: Mapping[str, str]) -> bool:
    """True if the form is one that ``login_form`` made for this browser."""
    return visit.site.signer.is_form_token(visit.request.cookies.get(BEFORE, ""), form.get(FORM_FIELD, ""))


def waited(wait: float, form: Callable[[int, str], web.Response]) -> web.Response:
    """Return the form for someone who must wait so many seconds until the next attempt."""
    minutes = int(wait) // MINUTES + 1
    response = form(429, f"Too many attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}.")
    response.headers[hdrs.RETRY_AFTER] = str(int(wait) + 1)
    return response


def held_cookie(
    visit: Visit, response: web.Response, name: str, value: str, seconds: int | None, path: str = "/"
) -> None:
    """Set a cookie that no script reads and no other site sends; ``seconds``: None until the browser ends."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        secure=is_https(visit.request),
        httponly=True,
        samesite="Strict",
    )
