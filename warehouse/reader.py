"""Runs the named queries of sql/*.sql on ClickHouse; the only module here that knows the driver.

Values are always server-side parameters: a query is sent as it is in its file, except that ``{columns}``
becomes the fields of the requested row. Every failure is one error, ReadsUnavailable, since a reader
handles them all alike.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import msgspec
import structlog
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError

from warehouse.errors import ReadsTooSlow, ReadsUnavailable
from warehouse.select_list import select_list

Row = TypeVar("Row", bound=msgspec.Struct)
Value = str | int | bool | Sequence[int] | Sequence[Sequence[int]] | Sequence[str] | Sequence[Decimal]

CONNECT_TIMEOUT = 2.0
"""Seconds."""
QUERY_TIMEOUT = 10.0
"""Seconds; the engine then stops by itself, and the client a little later."""
CONNECTIONS = 8
TOO_SLOW = "TIMEOUT_EXCEEDED"
"""What the engine's message contains when a query has reached its time."""

log = structlog.get_logger()


class QueryRunner(Protocol):
    """A runner of named queries."""

    async def fetch(self, name: str, row: type[Row], **parameters: Value) -> list[Row]:
        """Return the rows of the query, checked against the struct ``row``. Raises ReadsUnavailable."""
        ...

    async def close(self) -> None: ...


@cache
def query_text(name: str, row: type[msgspec.Struct] | None = None) -> str:
    """Return the SQL of a named query; the fields of ``row`` replace ``{columns}``."""
    text = _file(name)
    outer = re.match(r"-- within: (\w+)\n", text)
    if outer is not None:
        text = _file(outer[1]).replace("{sums}", re.sub(r"^--.*\n", "", text, flags=re.MULTILINE))
    return text if row is None else text.replace("{columns}", select_list(row))


def _file(name: str) -> str:
    return files("warehouse").joinpath("sql", "queries", f"{name}.sql").read_text()


@cache
def parameter_names(name: str) -> frozenset[str]:
    """Return the names of the parameters of a named query."""
    return frozenset(re.findall(r"\{(\w+):", query_text(name)))


class ClickHouseReader:
    """A pool of connections to ClickHouse, opened by the first query.

    The driver itself repeats a read once if a kept connection turns out to be closed.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        self._address = urlsplit(url)
        self._user, self._password = user, password
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def fetch(self, name: str, row: type[Row], **parameters: Value) -> list[Row]:
        """Return the rows of a named query. Raises ReadsUnavailable, or TypeError for the wrong parameters."""
        if parameters.keys() != parameter_names(name):
            raise TypeError(f"{name} takes {sorted(parameter_names(name))}, not {sorted(parameters)}")
        try:
            body = await self._run(query_text(name, row), parameters)
            return msgspec.json.Decoder(row).decode_lines(body)
        except (ClickHouseError, OSError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("read failed", query=name, error=str(error)[:500])
            late = isinstance(error, TimeoutError) or TOO_SLOW in str(error)
            raise (ReadsTooSlow if late else ReadsUnavailable)(name) from error

    async def close(self) -> None:
        """Close the connections. Another query would open them again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _run(self, sql: str, parameters: Mapping[str, Value]) -> bytes:
        client = self._client or await self._open()
        values: dict[str, Any] = {
            key: int(value) if isinstance(value, bool) else value for key, value in parameters.items()
        }
        return await client.raw_query(sql, parameters=values, fmt="JSONEachRow")

    async def _open(self) -> AsyncClient:
        async with self._opening:
            if self._client is None:
                self._client = await clickhouse_connect.get_async_client(
                    interface=self._address.scheme,
                    host=self._address.hostname or "",
                    port=self._address.port or (8443 if self._address.scheme == "https" else 8123),
                    username=unquote(self._address.username or "") or self._user,
                    password=unquote(self._address.password or "") or self._password,
                    settings={
                        # rows in the format that this module decodes, whatever the server's profile says
                        "output_format_json_quote_64bit_integers": 0,
                        "max_execution_time": int(QUERY_TIMEOUT),
                        # so that an error in the middle of a result is an error, not half a result
                        "wait_end_of_query": 1,
                    },
                    connect_timeout=CONNECT_TIMEOUT,
                    send_receive_timeout=QUERY_TIMEOUT + 1,
                    connector_limit=CONNECTIONS,
                    connector_limit_per_host=CONNECTIONS,
                    client_name="rev-ingest",
                )
            return self._client
