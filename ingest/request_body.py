"""Reads the body of a request as plain bytes (media type, gzip, sizes), and queries strictly.

This module undoes Content-Encoding itself (the server's own decoding is off), so that no more than
the limit is ever inflated. It does not interpret the bytes.
"""

import asyncio
import re
import zlib
from collections.abc import Collection

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError

from ingest.hints import hint
from ingest.problems import Invalid, PayloadTooLarge, Unsupported

REQUEST_ID = web.RequestKey("request_id", str)
"""The key under which a request holds its id."""
JSON, CSV = "application/json", "text/csv"
MARK = b"\xef\xbb\xbf"
"""A byte order mark, which some editors and languages put before UTF-8; it is ignored."""
BODY_TIME = 60.0
"""Seconds within which a body must arrive."""
JSON_ALONE = (JSON,)
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_GZIP = 16 + zlib.MAX_WBITS
_SLICE = 4096


def media_type(request: web.Request) -> str:
    """Return the Content-Type without parameters, in lower case; JSON without the header."""
    return request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()


async def body_of(
    request: web.Request, limit: int, within: float = BODY_TIME, media_types: Collection[str] = JSON_ALONE
) -> bytes:
    """Return the body, inflated and without a byte order mark, if it arrives ``within`` so many seconds.

    ``media_types`` are the accepted ones, any if there are none. Raises Unsupported, PayloadTooLarge (above
    ``limit`` bytes before or after inflating) or Invalid (too late, cut off, or said to be gzip and is not).
    """
    if media_types and request.headers.get("Content-Type") and media_type(request) not in media_types:
        raise Unsupported(f"Content-Type must be {' or '.join(media_types)}")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise Unsupported("Content-Encoding must be gzip or absent", headers={"Accept-Encoding": "gzip"})
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = await (request.read() if request.content.is_eof() else _read(request, within))
    if len(body) > limit:
        raise _too_large(limit)
    if encoding in ("gzip", "x-gzip"):
        body = inflate(body, limit)
    return body.removeprefix(MARK)


async def _read(request: web.Request, within: float) -> bytes:
    """Read a body that is still arriving.

    A broken chunk is never reported to the code that waits for the body, only the connection's own
    response reports it; the time limit ends such a wait too.
    """
    try:
        async with asyncio.timeout(within):
            return await request.read()
    except TimeoutError as error:
        raise Invalid(f"the body did not arrive within {within:g} s") from error
    except (ConnectionError, ClientPayloadError) as error:
        # the client may be gone, but this is not the gateway's fault
        raise Invalid("the body was cut off before its end") from error
    except HttpProcessingError as error:
        raise Invalid("the body is not valid HTTP") from error


def inflate(body: bytes, limit: int) -> bytes:
    """Return the content of a gzip body, inflating at most ``limit`` + 1 bytes of it."""
    parts: list[bytes] = []
    room = limit + 1
    at, member = 0, None
    while at < len(body):
        member = member or zlib.decompressobj(_GZIP)
        # a slice, since a member copies everything that follows it: many tiny ones would take minutes
        piece = body[at : at + _SLICE]
        try:
            parts.append(member.decompress(piece, room))
        except zlib.error as error:
            raise Invalid("the body is not valid gzip") from error
        room -= len(parts[-1])
        if room <= 0:
            raise _too_large(limit)
        at += len(piece) - len(member.unused_data)
        if member.eof:
            member = None
    if member is not None:
        raise Invalid("the gzip body ends too early")
    return b"".join(parts)


def query_of(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """Return the query parameters. Raises Invalid for one that is unknown or given twice."""
    if not request.query_string:
        return {}
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise Invalid(f"unknown query parameter {name[:100]!r}{hint(name, tuple(known))}")
        if name in given:
            raise Invalid(f"query parameter {name} is given twice")
        given[name] = value
    return given


def request_id(given: str | None) -> str | None:
    """Return the caller's own X-Request-Id, if it may be echoed and logged; otherwise None."""
    return given if given is not None and _ID.fullmatch(given) else None


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {limit} bytes")
