"""The assembly of `rev web`: its routes, and what holds for every request.

The middleware admits only the audience of a route, checks the token of what changes state, turns failures into pages
or JSON, and sets the security headers. A handler cannot forget any of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from warehouse.errors import ReadsUnavailable
from web import metrics
from web.data import dashboard_api, demo_api, live_api, replay_api
from web.pages import (
    audit_page,
    billing_page,
    customers_page,
    docs_pages,
    events_page,
    export_page,
    invoice_page,
    invoices_page,
    keys_page,
    landing_page,
    live_page,
    login_page,
    outcomes_page,
    overview_page,
    portal_invoices_page,
    portal_link_page,
    portal_login_page,
    portal_pages,
    prices_page,
    probe_routes,
    ranked_pages,
    replay_page,
    scenarios_page,
    search_page,
    signup_page,
    signups_page,
    spending_page,
    static_routes,
    system_page,
    webhooks_page,
)
from web.portal_access import portal_user
from web.routes import Audience, WebRoute
from web.session_cookie import OwnerSession, PortalSession
from web.site import WebSite
from web.visits import FORM_FIELD, FORM_HEADER, PORTAL, Visit, form_of
from web.web_refusals import Refusal, RefusalBody, away

COOKIE = login_page.COOKIE
PORTAL_COOKIE = portal_login_page.COOKIE
MAX_FORM = 1 << 20
"""Bytes of a request's body."""
COMPRESSED_FROM = 1024
"""Bytes from which an answer is compressed."""
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REQUEST_ID = web.RequestKey("request_id", str)
_SAFE = {hdrs.METH_GET, hdrs.METH_HEAD}
_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address does not take this method.",
    413: "The body is too large.",
}
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("web")


def table() -> list[WebRoute]:
    """Return every route of `rev web`."""
    return [
        *landing_page.routes(),
        *docs_pages.routes(),
        *signup_page.routes(),
        *overview_page.routes(),
        *live_page.routes(),
        *customers_page.routes(),
        *portal_link_page.routes(),
        *spending_page.routes(),
        *billing_page.routes(),
        *prices_page.routes(),
        *keys_page.routes(),
        *signups_page.routes(),
        *audit_page.routes(),
        *ranked_pages.routes(),
        *events_page.routes(),
        *export_page.routes(),
        *outcomes_page.routes(),
        *invoices_page.routes(),
        *invoice_page.routes(),
        *webhooks_page.routes(),
        *system_page.routes(),
        *search_page.routes(),
        *replay_page.routes(),
        *scenarios_page.routes(),
        *login_page.routes(),
        *portal_login_page.routes(),
        *portal_pages.routes(),
        *portal_invoices_page.routes(),
        *dashboard_api.routes(),
        *live_api.routes(),
        *demo_api.routes(),
        *replay_api.routes(),
        *static_routes.routes(),
        *probe_routes.routes(),
    ]


def application(site: WebSite) -> web.Application:
    """Return `rev web` as an aiohttp application."""
    app = web.Application(middlewares=[_middleware(site)], client_max_size=MAX_FORM)
    app.on_response_prepare.append(_set_headers)
    app.on_shutdown.append(_ending_streams(site))
    for route in table():
        app.router.add_route(route.method, route.path, _admitting(site, route))
    return app


def _ending_streams(site: WebSite) -> Callable[[web.Application], Awaitable[None]]:
    async def end(_: web.Application) -> None:
        await asyncio.gather(site.feed.close(), site.events.close(), site.demo.close())

    return end


def _admitting(site: WebSite, route: WebRoute) -> Handler:
    """Return a handler that serves the route's audience alone."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.audience is Audience.PORTAL:
            return await _in_portal(site, route, request)
        session = site.signer.session_of(request.cookies.get(COOKIE, ""))
        if not await _is_admitted(site, request, route, session):
            if route.audience is Audience.OWNER:
                return Visit(site, request, None).see(f"/login?next={quote(_back(request), safe='/')}")
            challenge = {"WWW-Authenticate": "Bearer"}
            raise Refusal(401, "unauthorized", "the admin token is required: Authorization: Bearer …", challenge)
        return await route.handler(Visit(site, request, session))

    return handle


async def _is_admitted(site: WebSite, request: web.Request, route: WebRoute, session: OwnerSession | None) -> bool:
    if route.audience is Audience.EVERYONE:
        return True
    is_public = site.settings.public_dashboard and request.method in _SAFE
    if route.audience is Audience.DASHBOARD and (is_public or _has_admin_token(site, request)):
        return True
    if session is None:
        return False
    await _check_form(site, request, session)
    return True


async def _in_portal(site: WebSite, route: WebRoute, request: web.Request) -> web.StreamResponse:
    """Serve a page of the portal to its user; an owner's session is worth nothing there."""
    user = await portal_user(site, request.cookies.get(PORTAL_COOKIE, ""))
    if user is None:
        back = request.path_qs if request.method in _SAFE else PORTAL
        return Visit(site, request, None).see(f"{PORTAL}/login?next={quote(back, safe='/')}")
    await _check_form(site, request, user.session)
    return await route.handler(Visit(site, request, None, user))


async def _check_form(site: WebSite, request: web.Request, session: OwnerSession | PortalSession) -> None:
    """Raise Refusal for a change of state without a token of this session's forms."""
    if request.method not in _SAFE:
        given = request.headers.get(FORM_HEADER) or (await form_of(request)).get(FORM_FIELD, "")
        if not site.signer.is_form_token(session.id, given):
            raise Refusal(403, "forbidden", "This form is out of date. Go back, reload the page and send it again.")


def _has_admin_token(site: WebSite, request: web.Request) -> bool:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return scheme.lower() == "bearer" and site.is_admin_token(token.strip())


def _back(request: web.Request) -> str:
    """Return where to go after signing in."""
    return request.path_qs if request.method in _SAFE else "/dashboard"


def _middleware(site: WebSite) -> Any:
    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        id = request.headers.get("X-Request-Id") or uuid4().hex
        request[_REQUEST_ID] = id
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = refused(site, request, refusal, id)
        except ReadsUnavailable:
            response = refused(site, request, away("the ledger cannot be read"), id)
        except web.HTTPException as error:
            sentence = _SENTENCES.get(error.status, error.reason)
            code = "not_found" if error.status == 404 else "invalid_request"
            response = refused(site, request, Refusal(error.status, code, sentence), id)
        except Exception as error:
            metrics.BUGS.inc()
            _log.exception(
                "unexpected error", request_id=id, method=request.method, path=request.path, error=repr(error)
            )
            sentence = "An unexpected error; it is logged under this request id."
            response = refused(site, request, Refusal(500, "internal", sentence), id)
        if not response.prepared:
            _compress(response)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.request_seconds(route, response.status).observe(time.perf_counter() - began)
        return response

    return around


async def _set_headers(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Set the headers that every answer has, also one that is streamed."""
    response.headers["X-Request-Id"] = request.get(_REQUEST_ID, "")
    for name, value in SECURITY.items():
        response.headers[name] = value
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


def _compress(response: web.StreamResponse) -> None:
    encoded = hdrs.CONTENT_ENCODING in response.headers
    if isinstance(response, web.Response) and not encoded and (response.content_length or 0) >= COMPRESSED_FROM:
        response.enable_compression()
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING


def refused(site: WebSite, request: web.Request, refusal: Refusal, id: str) -> web.Response:
    """Return a refusal: JSON under /api, a page elsewhere."""
    if request.path.startswith("/api/"):
        body = _encode(RefusalBody(refusal.sentence, refusal.code, id))
        response = web.Response(body=body, status=refusal.status, content_type="application/json")
    else:
        retry = refusal.status == 503 and request.method == hdrs.METH_GET
        response = Visit(site, request, None).page(
            "refusal.html", refusal.status, code=refusal.status, sentence=refusal.sentence, request_id=id, retry=retry
        )
    response.headers.update(refusal.headers)
    return response
