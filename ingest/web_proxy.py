"""Passes requests for pages on to `rev web`, so that people and programs need one address.

Whatever is not the gateway's own goes there, with its body up to a limit, and the response comes back piece by piece:
server-sent events are not held back. This module reads nothing of what it passes.
"""

from collections.abc import Mapping

import aiohttp
import structlog
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from ingest.dialects.catalog import PREFIXES
from ingest.problems import RETRY_AFTER, PayloadTooLarge
from ingest.request_body import REQUEST_ID
from schemas.limits import MAX_BODY

OURS = rf"(?!(?:v1|api|{'|'.join(PREFIXES)})(?:/|$)|(?:livez|readyz|metrics|openapi\.json)$)"
"""What the gateway answers itself, dialects included; of /api it passes on only THEIRS."""
THEIRS = r"api/(?:dashboard/|demo/|signup$|admin/pricing/replay$)"
PATH = rf"/{{path:(?:{THEIRS}|{OURS}).*}}"
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=90)
"""Seconds; a stream of events sends something more often than that."""
AWAY = "Rev's pages are away at the moment; metering goes on. Try again in a few seconds."
AWAY_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
    f"<title>Rev</title><p>{AWAY}</p></html>"
)
_log = structlog.get_logger("ingest")


class WebProxy:
    """Connections to one `rev web`, opened when they are needed."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    def route(self) -> web.RouteDef:
        """Return the route of everything that is not the gateway's own; it must be the last."""
        return web.route(hdrs.METH_ANY, PATH, self._pass_on)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        session = self._session = self._session or _open()
        # never joined as a reference: a path that begins with // would name another host
        target = URL(self._url + request.rel_url.raw_path_qs, encoded=True)
        try:
            upstream = await session.request(
                request.method, target, headers=forwarded(request), data=body, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.warning("web is away", request_id=request[REQUEST_ID], error=repr(error)[:300])
            return _away(request)
        async with upstream:
            response = web.StreamResponse(
                status=upstream.status, reason=upstream.reason, headers=kept(upstream.headers)
            )
            await response.prepare(request)
            try:
                async for piece in upstream.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                # its head is sent already: broken off, half a page does not pass for a whole one
                _log.warning("web broke off", request_id=request[REQUEST_ID], error=repr(error)[:300])
                if request.transport is not None:
                    request.transport.abort()
            return response


def kept(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Return the headers without those that belong to one connection alone."""
    named = {name.strip().lower() for name in headers.get(hdrs.CONNECTION, "").split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP | named)


def forwarded(request: web.Request) -> CIMultiDict[str]:
    """Return the headers of the request as `rev web` gets them: who asked, and how, in X-Forwarded-*."""
    headers = kept(request.headers)
    for name in (hdrs.CONTENT_LENGTH, hdrs.EXPECT):
        headers.popall(name, None)
    before = request.headers.getall("X-Forwarded-For", [])
    headers["X-Forwarded-For"] = ", ".join([*before, request.remote or "unknown"])
    headers.setdefault("X-Forwarded-Proto", request.scheme)
    headers.setdefault("X-Forwarded-Host", request.host)
    headers["X-Request-Id"] = request[REQUEST_ID]
    return headers


async def _body(request: web.Request) -> bytes | None:
    """Return the body. Raises PayloadTooLarge."""
    if not request.can_read_body:
        return None
    if (request.content_length or 0) > MAX_BODY:
        raise _too_large()
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {MAX_BODY} bytes")


def _away(request: web.Request) -> web.Response:
    headers = {"Retry-After": RETRY_AFTER, "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'"}
    if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        return web.Response(text=AWAY_PAGE, status=503, content_type="text/html", headers=headers)
    return web.json_response(
        {"error": AWAY, "code": "pages_unavailable", "request_id": request[REQUEST_ID]}, status=503, headers=headers
    )


def _open() -> aiohttp.ClientSession:
    """Return a session that passes everything on as it is: no cookies, no decoding, no limit on open streams."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
    )
