"""One request, as a handler sees it: the site, the session, and the ways to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from aiohttp import hdrs, web

from web.broadcast import Listener
from web.portal_access import PortalUser
from web.session_cookie import OwnerSession
from web.site import WebSite
from web.web_refusals import Refusal, invalid

FORM_FIELD = "form_token"
"""The field of every form that carries its token against forged requests."""
FORM_HEADER = "X-Form-Token"
"""The same, for requests that a script makes."""
PORTAL = "/portal"
"""What the addresses of the portal's pages begin with."""
MAX_DIGITS = 18
"""Digits of a number in a path; an id has fewer."""
STREAM = {hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
STREAM_LASTS = 600.0
"""Seconds after which a stream ends, so that the browser connects again and shows that its session still holds."""
AGAIN = b"retry: 2000\n\n"
"""After how many ms a browser connects again."""
_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger("web")


@dataclass(frozen=True)
class Visit:
    """A request that its audience allows.

    ``session`` is the signed-in owner's, None for everyone else; ``user`` is set on the portal's pages alone.
    """

    site: WebSite
    request: web.Request
    session: OwnerSession | None
    user: PortalUser | None = None

    @property
    def portal(self) -> PortalUser:
        """The customer that a page of the portal is for; only its data may be shown."""
        assert self.user is not None
        return self.user

    @property
    def address(self) -> str:
        """The address of this server as the person reached it."""
        return f"{'https' if is_https(self.request) else 'http'}://{self.request.host}"

    def page(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """Return a page.

        Its template knows ``path``, ``form_token`` (made anew for each page), ``root`` (what the addresses of pages
        begin with: nothing, or that of the portal), ``shell`` (the template around it), ``user`` and the values.
        """
        session = self.session or (self.user.session if self.user else None)
        known = {
            "path": self.request.path,
            "form_token": self.site.signer.form_token(session.id) if session else "",
            "root": PORTAL if self.user else "",
            "shell": "portal.html" if self.user else "app.html",
            "user": self.user,
        }
        text = self.site.templates.render(template, **{**known, **values})
        return web.Response(text=text, content_type="text/html", status=status)

    def json(self, answer: msgspec.Struct) -> web.Response:
        """Return a struct as JSON."""
        return web.Response(body=_encode(answer), content_type="application/json")

    async def file(self, name: str, content_type: str, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
        """Send a file in pieces. Raises what the first piece raises.

        A later failure is logged and breaks the transfer off, so that half a file does not pass for a whole one.
        """
        first = await anext(pieces)
        disposition = f'attachment; filename="{name}"'
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.CONTENT_DISPOSITION: disposition}
        response = web.StreamResponse(headers=headers)
        await response.prepare(self.request)
        try:
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            pass  # the reader went away
        except Exception as error:
            _log.exception("a file was broken off", path=self.request.path, error=repr(error))
            if self.request.transport is not None:
                self.request.transport.abort()
        return response

    async def stream(
        self, listen: Callable[[Callable[[], None]], Listener], leave: Callable[[Listener], None]
    ) -> web.StreamResponse:
        """Send a listener's frames as server-sent events until either side ends. Raises what ``listen`` raises."""

        def drop() -> None:
            if self.request.transport is not None:
                self.request.transport.abort()

        listener = listen(drop)
        response = web.StreamResponse(headers=STREAM)
        try:
            async with asyncio.timeout(STREAM_LASTS):
                await response.prepare(self.request)
                await response.write(AGAIN)
                async for frame in listener.frames():
                    await response.write(frame)
        except (ConnectionError, TimeoutError):
            pass  # the browser went away, or connects again
        finally:
            leave(listener)
        return response

    def see(self, path: str) -> web.Response:
        """Send the browser to another page of this server."""
        return web.Response(status=303, headers={"Location": path})

    def number(self, name: str) -> int:
        """Return a number in the path. Raises Refusal, since no other address exists."""
        text = self.request.match_info[name]
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
            raise Refusal(404, "not_found", "There is nothing at this address.")
        return int(text)

    async def form(self) -> dict[str, str]:
        """Return the fields of a form that was sent. Raises Refusal."""
        return await form_of(self.request)

    def query(self, known: Collection[str]) -> dict[str, str]:
        """Return the query parameters. Raises Refusal for one that is unknown or given twice."""
        given: dict[str, str] = {}
        for name, value in self.request.query.items():
            if name not in known:
                names = ", ".join(known)
                raise invalid(f"unknown query parameter {name[:100]!r}; known here: {names or 'none'}")
            if name in given:
                raise invalid(f"query parameter {name} is given twice")
            given[name] = value
        return given


async def form_of(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; none of a body that is no form. A field given twice has its last value.

    Raises Refusal for text that cannot be decoded.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    try:
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    except (ValueError, LookupError) as error:
        raise invalid("The form is not valid UTF-8.") from error


def client_of(request: web.Request) -> str:
    """Return the address that the nearest proxy saw, or else the address of the connection."""
    forwarded = request.headers.getall("X-Forwarded-For", [])
    return forwarded[-1].rpartition(",")[2].strip() if forwarded else request.remote or ""


def is_https(request: web.Request) -> bool:
    """True if the person's own connection is encrypted, as the proxy says."""
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
