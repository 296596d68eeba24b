"""The body of a request as plain bytes: media type, gzip and sizes; and strict queries.

Content-Encoding is ours to undo (the server's own is switched off), so that no more than
the limit is ever inflated. What the bytes say is none of this room's business.
"""

import re
import zlib
from collections.abc import Collection

from aiohttp import web

from ingest.explain import nearest
from ingest.problems import Invalid, TooLarge, Unsupported

REQUEST_ID = web.RequestKey("request_id", str)
"""Where a request carries its id."""
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_GZIP = 16 + zlib.MAX_WBITS


async def body_of(request: web.Request, limit: int) -> bytes:
    """The body, inflated. Raises Unsupported, TooLarge (above ``limit`` bytes before or after
    inflating) or Invalid (what says gzip and is not)."""
    content_type = request.headers.get("Content-Type")
    if content_type and content_type.partition(";")[0].strip().lower() != "application/json":
        raise Unsupported("Content-Type must be application/json")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise Unsupported("Content-Encoding must be gzip or absent", headers={"Accept-Encoding": "gzip"})
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    body = await request.read()
    if len(body) > limit:
        raise _too_large(limit)
    return inflate(body, limit) if encoding in ("gzip", "x-gzip") else body


def inflate(body: bytes, limit: int) -> bytes:
    """The content of a gzip body, of which at most ``limit`` + 1 bytes are made."""
    parts: list[bytes] = []
    room = limit + 1
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error as error:
            raise Invalid("the body is not valid gzip") from error
        room -= len(parts[-1])
        if room <= 0:
            raise _too_large(limit)
        if not member.eof:
            raise Invalid("the gzip body ends too early")
        body = member.unused_data
    return b"".join(parts)


def query_of(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """The query parameters. Raises Invalid for one that is not known or given twice."""
    if not request.query_string:
        return {}
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise Invalid(f"unknown query parameter {name[:100]!r}{nearest(name, tuple(known))}")
        if name in given:
            raise Invalid(f"query parameter {name} is given twice")
        given[name] = value
    return given


def request_id(given: str | None) -> str | None:
    """The caller's own X-Request-Id, if it is one that may be echoed and logged."""
    return given if given is not None and _ID.fullmatch(given) else None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body is larger than {limit} bytes")
