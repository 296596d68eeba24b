"""Clients and databases for the tests of the embedded ClickHouse."""

import asyncio
import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import clickhouse_connect
import pytest

from deploy.children import spawn


class Got(NamedTuple):
    """An HTTP answer; ``code`` is ClickHouse's error code, 0 for none."""

    status: int
    code: int
    body: bytes
    headers: dict[str, str]


@pytest.fixture
def client(clickhouse: Any) -> Iterator[Any]:
    """clickhouse-connect as the writer."""
    with clickhouse_connect.get_client(
        dsn=clickhouse.url, username=clickhouse.user, password=clickhouse.password
    ) as it:
        it.command("CREATE DATABASE IF NOT EXISTS rev")
        yield it


@pytest.fixture
def analyst(clickhouse: Any, client: Any) -> Iterator[Any]:
    """clickhouse-connect as the analyst."""
    name, password = clickhouse.analyst
    with clickhouse_connect.get_client(dsn=clickhouse.url, username=name, password=password) as it:
        yield it


@pytest.fixture
def table(client: Any) -> Iterator[str]:
    """A table of many column types, empty."""
    client.command("CREATE DATABASE IF NOT EXISTS scratch")
    client.command("DROP TABLE IF EXISTS scratch.rows")
    client.command(
        "CREATE TABLE scratch.rows (id UInt64, customer LowCardinality(String), outcome Enum8('ok' = 1, 'error' = 2),"
        " price Decimal(38, 12), at DateTime64(3, 'UTC'), metadata String, labels Array(String),"
        " counts Map(String, UInt8), maybe Nullable(Int32)) ENGINE = MergeTree ORDER BY id"
    )
    yield "scratch.rows"
    client.command("DROP TABLE scratch.rows")


@pytest.fixture
def ask(clickhouse: Any) -> Callable[..., Got]:
    """One plain HTTP request: ``ask(body, query=…, setting=…, headers={…}, user=(name, password))``."""

    def send(
        body: bytes | None = None,
        *,
        method: str | None = None,
        user: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        path: str = "/",
        **parameters: str,
    ) -> Got:
        name, password = user or (clickhouse.user, clickhouse.password)
        asked = {"X-ClickHouse-User": name, "X-ClickHouse-Key": password, **(headers or {})}
        connection = http.client.HTTPConnection(urlsplit(clickhouse.url).netloc, timeout=60)
        try:
            url = f"{path}?{urlencode(parameters, quote_via=quote)}"
            connection.request(method or ("POST" if body is not None else "GET"), url, body, asked)
            answer = connection.getresponse()
            code = int(answer.headers.get("X-ClickHouse-Exception-Code", "0"))
            return Got(answer.status, code, answer.read(), dict(answer.headers))
        finally:
            connection.close()

    return send


class Daemon:
    """A daemon of a test's own, to be stopped and killed."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.process = spawn(
            [sys.executable, "-m", "deploy.clickhouse", "--data", str(data), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port: int = json.loads(line)["port"] if line else 0

    def client(self, **more: Any) -> Any:
        password = json.loads((self.data / "users.json").read_text())["rev"]["password"]
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username="rev", password=password, query_retries=0, **more
        )

    def end(self) -> tuple[int, str]:
        """Exit code and what it wrote to standard error, once it has ended."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors.decode()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """``daemons()`` starts a daemon on the test's directory; all are killed at the end."""
    started: list[Daemon] = []

    def start(data: Path = tmp_path / "clickhouse") -> Daemon:
        started.append(Daemon(data))
        return started[-1]

    yield start
    for daemon in started:
        daemon.process.kill()
        if daemon.process.returncode is None or not daemon.process.stdout.closed:
            daemon.end()


@pytest.fixture
def in_thread() -> Callable[..., asyncio.Task[Any]]:
    """``in_thread(function, …)``: a blocking call beside the test, as a task."""
    return lambda function, *rest, **named: asyncio.ensure_future(asyncio.to_thread(function, *rest, **named))
