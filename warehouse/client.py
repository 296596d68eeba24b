"""A minimal ClickHouse client over HTTP for the writer: one statement, with or without data.

It does not retry: only the caller knows whether a statement may be repeated.
"""

import io
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced, Unavailable

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)

REFUSING = {
    6,  # CANNOT_PARSE_TEXT
    25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
    26,  # CANNOT_PARSE_QUOTED_STRING
    27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    38,  # CANNOT_PARSE_DATE
    41,  # CANNOT_PARSE_DATETIME
    53,  # TYPE_MISMATCH
    69,  # ARGUMENT_OUT_OF_BOUND
    70,  # CANNOT_CONVERT_TYPE
    72,  # CANNOT_PARSE_NUMBER
    117,  # INCORRECT_DATA
    131,  # TOO_LARGE_STRING_SIZE
    190,  # SIZES_OF_ARRAYS_DONT_MATCH
    349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
    407,  # DECIMAL_OVERFLOW
    441,  # CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
    467,  # CANNOT_PARSE_BOOL
    691,  # UNKNOWN_ELEMENT_OF_ENUM
}
REFUSING_IF = {
    10: "JSONEachRow",  # NOT_FOUND_COLUMN_IN_BLOCK: an unknown member
    33: "JSONEachRow",  # CANNOT_READ_ALL_DATA: the text ends too soon
    252: "partitions for single INSERT",  # TOO_MANY_PARTS: the block spans two months
}
"""Codes that also have other meanings: they refuse only if the message contains this text."""
MEMORY_LIMIT_EXCEEDED = 241
FENCING = {
    60,  # UNKNOWN_TABLE: a new owner dropped the stage
    216,  # QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING
    218,  # TABLE_IS_DROPPED
    394,  # QUERY_WAS_CANCELLED
}


def error_of(code: int, text: str) -> Exception:
    """Return the error for an exception of the server, by its code."""
    text = text.strip()[:2000]
    if code in FENCING or (code == 395 and "resync:" in text):
        return LedgerFenced(text)
    if code in REFUSING or (code in REFUSING_IF and REFUSING_IF[code] in text):
        return InsertRefused(text)
    return InsertTooLarge(text) if code == MEMORY_LIMIT_EXCEEDED else Unavailable(text)


class ClickHouse:
    """A connection pool to one server. It may be shared between partitions."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=self._headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def execute(self, sql: str, settings: Mapping[str, str | int] | None = None) -> list[list[str]]:
        """Return the rows of a statement as text (NULL is ᴺᵁᴸᴸ).

        Raises Unavailable, LedgerFenced, InsertTooLarge or InsertRefused.
        """
        _, body = await self._post({**(settings or {}), "default_format": "JSONCompactStrings"}, sql.encode())
        return msgspec.json.decode(body)["data"] if body.strip() else []

    async def insert(self, sql: str, data: bytes | None = None, settings: Mapping[str, str | int] | None = None) -> int:
        """Return the number of rows that an INSERT wrote, as the server counts them.

        ``data`` follows the statement.
        """
        if data is None:
            written, _ = await self._post(dict(settings or {}), sql.encode())
        else:
            written, _ = await self._post({**(settings or {}), "query": sql}, data)
        return written

    async def _post(self, params: Mapping[str, str | int], body: bytes) -> tuple[int, bytes]:
        assert self._session is not None, "not entered"
        try:
            async with self._session.post(self._url, params=params, data=io.BytesIO(body)) as response:
                answer = await response.read()
                if response.status != 200:
                    code = int(response.headers.get("X-ClickHouse-Exception-Code", "0"))
                    raise error_of(code, answer.decode("utf-8", "replace"))
                summary = response.headers.get("X-ClickHouse-Summary", "{}")
                return int(msgspec.json.decode(summary).get("written_rows", 0)), answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
