"""clickhouse-connect, sync and async, works with the embedded engine as with a server."""

import asyncio
import datetime as dt
import gzip
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import clickhouse_connect
import lz4.frame
import pytest
from backports import zstd
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.external import ExternalData

pytestmark = pytest.mark.integration

COLUMNS = ["id", "customer", "outcome", "price", "at", "metadata", "labels", "counts", "maybe"]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LINES = b"".join(b'{"id":%d,"customer":"raw"}\n' % number for number in range(1000))


def row(number: int) -> list[Any]:
    price = Decimal(f"12345678901234567890.{number:012}")
    at = START + dt.timedelta(milliseconds=number)
    maybe = None if number % 2 else number
    return [number, f"c{number % 100}", "ok", price, at, '{"k":1}', ["x", "y'\\"], {"k": 1}, maybe]


ROWS = [row(number) for number in range(5000)]


def shown(one: list[Any]) -> tuple[Any, ...]:
    """A row as the client gives it back: UTC times without their zone."""
    return tuple(value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value for value in one)


def test_rows_come_back_as_they_were_inserted(client: Any, table: str) -> None:
    """Every column type survives an insert and a query, and the summary counts the rows."""
    assert client.insert(table, ROWS, column_names=COLUMNS).written_rows == 5000
    assert client.command(f"SELECT count() FROM {table}") == 5000
    assert client.query(f"SELECT * FROM {table} ORDER BY id").result_rows == [shown(one) for one in ROWS]


def test_columns_can_be_inserted(client: Any, table: str) -> None:
    """A column-oriented insert writes the same rows."""
    columns = [list(column) for column in zip(*ROWS, strict=True)]
    client.insert(table, columns, column_names=COLUMNS, column_oriented=True)
    assert client.query(f"SELECT * FROM {table} ORDER BY id LIMIT 3").result_rows == [shown(one) for one in ROWS[:3]]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", True])
def test_compression(clickhouse: Any, table: str, compress: str | bool) -> None:
    """Inserts and results work with every compression that the client offers."""
    made = clickhouse_connect.get_client(
        dsn=clickhouse.url, username=clickhouse.user, password=clickhouse.password, compress=compress
    )
    with made as client:
        client.insert(table, ROWS, column_names=COLUMNS)
        assert client.query(f"SELECT * FROM {table} ORDER BY id").result_rows[-1] == shown(ROWS[-1])


@pytest.mark.parametrize(
    ("compression", "compress"),
    [(None, bytes), ("lz4", lz4.frame.compress), ("zstd", zstd.compress), ("gzip", gzip.compress)],
)
def test_raw_insert(client: Any, table: str, compression: str | None, compress: Callable[[bytes], bytes]) -> None:
    """JSONEachRow bodies are taken plain and compressed, also in several frames."""
    body = compress(LINES) + compress(LINES)
    client.raw_insert(table, ["id", "customer"], body, fmt="JSONEachRow", compression=compression)
    assert client.command(f"SELECT count(), sum(id) FROM {table}") == ["2000", "999000"]


def test_raw_insert_of_a_generator(client: Any, table: str) -> None:
    """A body that is sent in pieces is inserted whole."""
    client.raw_insert(table, ["id", "customer"], (LINES for _ in range(30)), fmt="JSONEachRow")
    assert client.command(f"SELECT count() FROM {table}") == 30_000


def test_native_blocks_travel_both_ways(client: Any, table: str) -> None:
    """What was read in Native format can be inserted in Native format."""
    client.insert(table, ROWS, column_names=COLUMNS)
    block = client.raw_query(f"SELECT id, customer FROM {table}", fmt="Native")
    client.raw_insert(table, ["id", "customer"], lz4.frame.compress(block), fmt="Native", compression="lz4")
    assert client.command(f"SELECT count() FROM {table}") == 10_000


def test_server_side_parameters(client: Any) -> None:
    """Parameters arrive as they are, whatever characters they hold."""
    sql = "SELECT {a:String}, {b:UInt32}, {d:DateTime}, {l:Array(String)}, {n:Nullable(String)}"
    values = {"a": "x'y\n\t\\z", "b": 7, "d": dt.datetime(2026, 1, 1), "l": ["p'q", "r"], "n": None}  # noqa: DTZ001
    assert client.query(sql, parameters=values).result_rows == [tuple(values.values())]


def test_parameters_in_a_form(clickhouse: Any) -> None:
    """Parameters too long for a URL go in a form."""
    made = clickhouse_connect.get_client(
        dsn=clickhouse.url, username=clickhouse.user, password=clickhouse.password, form_encode_query_params=True
    )
    with made as client:
        assert client.query("SELECT {a:String}", parameters={"a": "x" * 100_000}).result_rows == [("x" * 100_000,)]


def test_parameters_put_in_by_the_client(client: Any) -> None:
    """Client-side binding quotes into SQL that the engine understands."""
    assert client.query("SELECT %(a)s, %(b)s", parameters={"a": "x'y", "b": [1, 2]}).result_rows == [("x'y", [1, 2])]


@pytest.mark.parametrize("rows", [0, 1, 65_409, 1_000_000])
def test_streams(client: Any, rows: int) -> None:
    """A streamed result has every row, whatever its size."""
    with client.query_row_block_stream(f"SELECT number, toString(number) FROM numbers({rows})") as stream:
        assert sum(len(block) for block in stream) == rows


@pytest.mark.parametrize("name", ["CSV", "TSV", "JSON", "JSONCompact", "TabSeparatedWithNames", "RowBinary", "Values"])
def test_formats(client: Any, name: str) -> None:
    """Formats that are streamed and formats with a frame around them give the whole result."""
    body = client.raw_query("SELECT number FROM numbers(200000)", fmt=name)
    assert len(body) > 200_000 * 1.5
    if name == "JSON":
        assert b'"rows": 200000' in body


def test_empty_result_keeps_its_columns(client: Any, table: str) -> None:
    """A result without rows still names its columns."""
    assert client.query(f"SELECT id, price FROM {table} LIMIT 0").column_names == ("id", "price")


def test_settings_hold_for_one_query(client: Any) -> None:
    """A setting sent with a query applies to it and to no other."""
    assert client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 7}).result_rows == [(7,)]
    assert client.query("SELECT getSetting('max_block_size')").result_rows != [(7,)]


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT * FROM nosuch", 60),
        ("SELECT * FROM nosuch.table", 81),
        ("SELEC 1", 62),
        ("SELECT throwIf(number = 5) FROM numbers(10)", 395),
        ("SELECT 1 / 'a'", 43),
        ("SELECT nocolumn FROM system.one", 47),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT uniqExact(number) FROM numbers(1e7) SETTINGS max_memory_usage = 10000000", 241),
        (
            "SELECT count() FROM numbers(1e12) WHERE NOT ignore(sipHash64(number)) SETTINGS max_execution_time = 0.1",
            159,
        ),
    ],
)
def test_errors_have_the_servers_codes(client: Any, sql: str, code: int) -> None:
    """A failing query raises DatabaseError with the code that a server gives."""
    with pytest.raises(DatabaseError) as failed:
        client.query(sql)
    assert f"Code: {code}." in str(failed.value)


def test_a_result_that_fails_half_way_raises(client: Any) -> None:
    """An error behind the first block of a stream is an error for who reads it."""
    sql = "SELECT throwIf(number = 3000000), number FROM numbers(10000000)"
    with pytest.raises(ClickHouseError), client.query_row_block_stream(sql) as stream:
        for _ in stream:
            pass


def test_commands(client: Any, table: str) -> None:
    """DDL, INSERT … VALUES, INSERT … SELECT, INSERT with data, SHOW, EXISTS and EXPLAIN."""
    client.command(f"INSERT INTO {table} (id, customer) VALUES (1, 'format csv'), (2, 'w')")
    client.command(f"INSERT INTO {table} (id, customer) SELECT number + 3, 's' FROM numbers(10)")
    client.command(f"INSERT INTO {table} (id, customer) FORMAT TSV", data="20\ta\n21\tb\n")
    assert client.command(f"SELECT count() FROM {table}") == 14
    assert client.command("SHOW TABLES FROM scratch") == "rows"
    assert client.command(f"EXISTS {table}") == 1
    assert "Output" in str(client.command("EXPLAIN SELECT 1"))
    client.command("DROP TABLE IF EXISTS scratch.nothing")


def test_external_data(client: Any) -> None:
    """A table sent with the query can be selected from."""
    sent = ExternalData(file_name="ext.csv", data=b"1,a\n2,b\n", fmt="CSV", structure="a UInt8, b String")
    assert client.query("SELECT * FROM ext ORDER BY a", external_data=sent).result_rows == [(1, "a"), (2, "b")]


def test_a_session_keeps_what_was_set(clickhouse: Any, client: Any) -> None:
    """Temporary tables, SET and USE last for the session and are seen by nobody else."""
    options = {"dsn": clickhouse.url, "username": clickhouse.user, "password": clickhouse.password}
    with clickhouse_connect.get_client(**options, session_id="mine") as mine:
        mine.command("CREATE TEMPORARY TABLE kept (a Int8)")
        mine.command("INSERT INTO kept VALUES (5)")
        assert mine.command("SELECT a FROM kept", settings={"max_block_size": 9}) == 5
        mine.command("SET max_block_size = 11")
        assert mine.command("SELECT getSetting('max_block_size')", settings={"max_block_size": 12}) == 12
        assert mine.command("SELECT getSetting('max_block_size')") == 11
        mine.command("USE rev")
        assert mine.command("SELECT currentDatabase()") == "rev"
    with pytest.raises(DatabaseError, match="Code: 60"):
        client.query("SELECT a FROM kept")


def test_a_database_of_the_client(clickhouse: Any, client: Any, table: str) -> None:
    """A client made for a database finds its tables without their database."""
    options = {"dsn": clickhouse.url, "username": clickhouse.user, "password": clickhouse.password}
    with clickhouse_connect.get_client(**options, database="scratch") as mine:
        assert mine.query("SELECT count() FROM rows").result_rows == [(0,)]
    assert client.command("SELECT currentDatabase()") == "default"


async def test_the_async_client(clickhouse: Any, table: str) -> None:
    """Queries, inserts, streams and parallel queries of the async client."""
    made = await clickhouse_connect.get_async_client(
        dsn=clickhouse.url, username=clickhouse.user, password=clickhouse.password
    )
    async with made as client:
        assert await client.ping()
        await client.insert(table, ROWS, column_names=COLUMNS)
        await client.raw_insert(table, ["id", "customer"], LINES, fmt="JSONEachRow")
        assert (await client.query(f"SELECT count() FROM {table}")).result_rows == [(6000,)]
        assert await client.command("SELECT 1") == 1
        counted = 0
        async with await client.query_row_block_stream("SELECT number FROM numbers(300000)") as stream:
            async for block in stream:
                counted += len(block)
        assert counted == 300_000
        sql = "SELECT sum(number) FROM numbers(1000000)"
        results = await asyncio.gather(*[client.query(sql) for _ in range(10)])
        assert {result.result_rows[0][0] for result in results} == {499_999_500_000}
        with pytest.raises(DatabaseError, match="Code: 60"):
            await client.query("SELECT * FROM nosuch")
