"""Parsing of a request of ClickHouse's HTTP protocol: parameters, settings, query, body.

This module checks only the form; guard.py and execution.py decide what is allowed.
"""

import uuid
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from deploy.clickhouse import compression
from deploy.clickhouse.errors import bad_argument, refusal, syntax

_TRANSPORT_NAMES = """
    add_http_cors_header buffer_size cancel_http_readonly_queries_on_client_close client_protocol_version compress
    database decompress default_format enable_http_compression http_headers_progress_interval_ms
    http_zlib_compression_level log_comment password query query_id quota_key role
    send_progress_in_http_headers session_check session_id session_timeout stacktrace user wait_end_of_query
"""
_TRANSPORT = frozenset(_TRANSPORT_NAMES.split())
"""URL parameters that are not settings of the query."""
_HEAD = 1 << 18
"""Bytes of the body within which the statement before an INSERT's data must end."""
_CHUNK = 1 << 20
_MAX_STATEMENT = 64 << 20
_MAX_ID = 256


class External(NamedTuple):
    """Table sent with the query. ``columns`` as in CREATE TABLE."""

    name: str
    columns: str
    format: str
    data: bytes


class Request(NamedTuple):
    """A parsed request.

    ``head``: the query and as much of the data after it as came with it. ``rest``: the rest of the body,
    in large chunks. ``parameters``: of the query ({name:Type}).
    """

    query_id: str
    database: str
    settings: dict[str, str]
    parameters: dict[str, str]
    format: str | None
    encoding: str | None
    session_id: str | None
    session_timeout: float
    session_check: bool
    buffered: bool
    get: bool
    externals: list[External]
    head: bytes
    rest: AsyncIterator[bytes] | None


async def read(request: web.Request) -> Request:
    """Read as much of a request as is needed to know its statement. Raises ClickHouseError."""
    url = dict(request.query)
    query = url.get("query", "").encode("utf-8", "surrogateescape")
    externals: list[External] = []
    rest: AsyncIterator[bytes] | None = None
    if request.content_type == "multipart/form-data":
        posted, externals = await _form(request, url)
        head = query or posted
    else:
        rest = _body(request)
        head = await _head(query, rest)
    if not head.strip():
        raise syntax("Empty query")
    return _request(request, url, externals, head, rest)


def _request(
    request: web.Request,
    url: dict[str, str],
    externals: list[External],
    head: bytes,
    rest: AsyncIterator[bytes] | None,
) -> Request:
    if url.get("decompress") == "1" or url.get("compress") == "1":
        raise refusal(
            48, "NOT_IMPLEMENTED", "compress and decompress are not supported; use Content-Encoding and Accept-Encoding"
        )
    compressed = url.get("enable_http_compression", "0") in ("1", "true")
    return Request(
        query_id=_identity(url.get("query_id") or str(uuid.uuid4())),
        database=url.get("database") or request.headers.get("X-ClickHouse-Database") or "default",
        settings=_settings(url, externals),
        parameters={name[6:]: value for name, value in url.items() if name.startswith("param_")},
        format=url.get("default_format") or request.headers.get("X-ClickHouse-Format"),
        encoding=compression.accepted(request.headers.get("Accept-Encoding", "")) if compressed else None,
        session_id=_identity(url["session_id"]) if url.get("session_id") else None,
        session_timeout=_seconds(url.get("session_timeout") or "60"),
        session_check=url.get("session_check") == "1",
        buffered=url.get("wait_end_of_query", "0") not in ("0", "", "false"),
        get=request.method == "GET",
        externals=externals,
        head=head,
        rest=rest,
    )


def _settings(url: Mapping[str, str], externals: list[External]) -> dict[str, str]:
    of_tables = {f"{table.name}_{end}" for table in externals for end in ("structure", "types", "format")}
    return {
        name: value
        for name, value in url.items()
        if name not in _TRANSPORT and name not in of_tables and not name.startswith("param_") and value != ""
    }


def _identity(text: str) -> str:
    """Return the id in a form that a header can hold."""
    if len(text) > _MAX_ID or not text.isprintable():
        raise bad_argument(f"an id must have at most {_MAX_ID} printable characters")
    return text


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise bad_argument("session_timeout must be an integer of seconds")
    return float(text)


async def _form(request: web.Request, url: dict[str, str]) -> tuple[bytes, list[External]]:
    """Read the parts of a form: the query, parameters (into ``url``), external tables."""
    query, files = b"", []
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise bad_argument("a part of the form has no name")
            data = bytes(await part.read())
            if part.name == "query":
                query = data
            elif part.filename is None:
                url[part.name] = data.decode("utf-8", "surrogateescape")
            else:
                files.append((part.name, data))
    except (ValueError, web.HTTPException) as error:
        raise bad_argument(f"invalid form: {error}") from error
    return query, [_external(name, data, url) for name, data in files]


def _external(name: str, data: bytes, url: Mapping[str, str]) -> External:
    columns = url.get(f"{name}_structure")
    if columns is None:
        kinds = url.get(f"{name}_types", "")
        columns = ", ".join(f"_{number} {kind}" for number, kind in enumerate(kinds.split(","), 1))
    return External(name, columns, url.get(f"{name}_format", "TabSeparated"), data)


async def _head(query: bytes, rest: AsyncIterator[bytes]) -> bytes:
    """Return the query of the URL, if any, followed by a line end, and the start of the body."""
    first = await anext(rest, b"")
    if not query:
        return first
    if not first:
        return query
    return query + (b"" if query.endswith(b"\n") else b"\n") + first


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    """Yield the decoded body: first a piece that holds the statement, then chunks of about a megabyte.

    Large chunks make each step into the engine worthwhile.
    """
    decoder = compression.Decoder(request.headers.get("Content-Encoding", ""))
    parts: list[bytes] = []
    size, wanted = 0, _HEAD
    async for piece in request.content.iter_any():
        data = decoder.feed(piece)
        parts.append(data)
        size += len(data)
        if size >= wanted:
            yield b"".join(parts)
            parts, size, wanted = [], 0, _CHUNK
    decoder.finish()
    if size:
        yield b"".join(parts)


async def whole(request: Request) -> bytes:
    """Return the statement of a request whose body is only the statement."""
    parts, size = [request.head], len(request.head)
    if request.rest is not None:
        async for chunk in request.rest:
            size += len(chunk)
            if size > _MAX_STATEMENT:
                raise syntax(f"the statement must be at most {_MAX_STATEMENT} bytes")
            parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)
