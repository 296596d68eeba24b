"""Query ids, KILL QUERY, clients that go away, and requests that are wrong."""

import asyncio
import gzip
import http.client
import json
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

pytestmark = pytest.mark.integration

LONG = b"SELECT count() FROM numbers(1e15) WHERE NOT ignore(sipHash64(number))"

In = Callable[..., Any]
Eventually = Callable[..., Awaitable[None]]


def processes(ask: In, needle: str) -> int:
    """How many queries that hold the needle the engine itself is running."""
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{needle}%' AND query NOT LIKE '%processes%'"
    return int(ask(sql.encode()).body)


async def started(ask: In, eventually: Eventually, needle: str) -> None:
    await eventually(lambda: processes(ask, needle) > 0)


async def test_a_running_query_id_is_refused_to_others(ask: In, in_thread: In, eventually: Eventually) -> None:
    """A second query with an id that is running gets 216; KILL … SYNC ends the first with 394."""
    first = in_thread(ask, LONG + b" AND 1 = 1", query_id="one")
    await started(ask, eventually, "1 = 1")
    assert ask(b"SELECT 1", query_id="one").code == 216
    assert ask(b"SELECT 1", query_id="two").status == 200
    killed = ask(b"KILL QUERY WHERE query_id = 'one' SYNC FORMAT JSONEachRow")
    shown = json.loads(killed.body)
    assert (shown["kill_status"], shown["query_id"]) == ("finished", "one")
    assert processes(ask, "1 = 1") == 0
    assert (await first).code == 394
    assert ask(b"SELECT 1", query_id="one").body == b"1\n"


async def test_kill_through_the_client(client: Any, ask: In, in_thread: In, eventually: Eventually) -> None:
    """clickhouse-connect's command kills by id, also with a parameter; nothing to kill is no error."""
    first = in_thread(ask, LONG + b" AND 2 = 2", query_id="kill-me")
    await started(ask, eventually, "2 = 2")
    client.command("KILL QUERY WHERE query_id = {id:String} SYNC", parameters={"id": "kill-me"})
    assert (await first).code == 394
    client.command("KILL QUERY WHERE query_id = 'kill-me' SYNC")


async def test_kill_test_only_shows(ask: In, in_thread: In, eventually: Eventually) -> None:
    """KILL … TEST lists what it would kill and leaves it alone; other conditions work too."""
    first = in_thread(ask, LONG + b" AND 3 = 3", query_id="spared")
    await started(ask, eventually, "3 = 3")
    assert b"spared" in ask(b"KILL QUERY WHERE query_id IN ('spared', 'x') AND user = 'rev' TEST").body
    assert not first.done()
    assert b"spared" in ask(b"kill query where elapsed >= 0 and query like '%3 = 3%' sync").body
    assert (await first).code == 394
    assert ask(b"KILL QUERY WHERE nocolumn = 1 SYNC").code == 47


async def test_kill_of_an_insert_that_still_sends(clickhouse: Any, ask: In, table: str, eventually: Eventually) -> None:
    """An INSERT whose client sends slowly (or was stopped) is ended by KILL … SYNC and writes nothing."""
    head = f"INSERT INTO {table} (id) FORMAT TSV"
    with half_sent(clickhouse, "slow", head, b"1\n" * 2_000_000, 10_000_000):
        await started(ask, eventually, f"INSERT INTO {table}")
        assert ask(b"SELECT 1", query_id="slow").code == 216
        killed = ask(b"KILL QUERY WHERE query_id = 'slow' SYNC")
        assert b"slow" in killed.body
        assert ask(b"SELECT 1", query_id="slow").status == 200
        assert ask(f"SELECT count() FROM {table}".encode()).body == b"0\n"


async def test_a_client_that_goes_away_leaves_no_insert(
    clickhouse: Any, ask: In, table: str, eventually: Eventually
) -> None:
    """Half an INSERT whose connection breaks is not written."""
    head = f"INSERT INTO {table} (id) FORMAT TSV"
    with half_sent(clickhouse, "gone", head, b"1\n" * 2_000_000, 10_000_000):
        await started(ask, eventually, f"INSERT INTO {table}")
    await eventually(lambda: ask(b"SELECT 1", query_id="gone").status == 200)
    assert ask(f"SELECT count() FROM {table}".encode()).body == b"0\n"


async def test_a_client_that_goes_away_has_its_query_cancelled(
    clickhouse: Any, ask: In, eventually: Eventually
) -> None:
    """A query runs on for nobody: it is cancelled when its connection breaks."""
    with half_sent(clickhouse, "left", "", LONG + b" AND 4 = 4", len(LONG) + 10):
        await started(ask, eventually, "4 = 4")
    await eventually(lambda: processes(ask, "4 = 4") == 0)
    await eventually(lambda: ask(b"SELECT 1", query_id="left").status == 200)


async def test_a_reader_that_goes_away_ends_its_stream(clickhouse: Any, ask: In, eventually: Eventually) -> None:
    """A stream whose reader stops reading and leaves does not stay in the engine."""
    sql = b"SELECT number, repeat('x', 100) FROM numbers(1e12) WHERE 5 = 5"
    with half_sent(clickhouse, "reader", "", sql, len(sql)) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    await eventually(lambda: ask(b"SELECT 1", query_id="reader").status == 200)
    await eventually(lambda: processes(ask, "5 = 5") == 0)


def half_sent(clickhouse: Any, query_id: str, query: str, body: bytes, length: int) -> socket.socket:
    """A connection over which a request with a body of ``length`` bytes has begun."""
    parts = urlsplit(clickhouse.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
    parameters = urlencode({"query": query, "query_id": query_id} if query else {"query_id": query_id})
    head = f"POST /?{parameters} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
    head += f"X-ClickHouse-User: {clickhouse.user}\r\nX-ClickHouse-Key: {clickhouse.password}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_ping(ask: In) -> None:
    """/ping answers without a user."""
    assert ask(path="/ping", user=("nobody", "")).body == b"Ok.\n"


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"body": b"SELECT 1", "user": ("nobody", "x")}, 403, 516),
        ({"body": b"SELECT 1", "user": ("rev", "wrong")}, 403, 516),
        ({"body": b""}, 400, 62),
        ({"body": b" \n "}, 400, 62),
        ({"body": b"-- nothing"}, 400, 62),
        ({}, 400, 62),
        ({"body": b"\xff\xfe\x00"}, 400, 62),
        ({"body": b"SELECT 1", "headers": {"Content-Encoding": "rot13"}}, 501, 48),
        ({"body": b"SELECT 1", "headers": {"Content-Encoding": "gzip"}}, 400, 271),
        ({"body": b"SELECT 1", "headers": {"Content-Encoding": "lz4"}}, 400, 271),
        ({"body": b"SELECT 1", "headers": {"Content-Encoding": "zstd"}}, 400, 271),
        ({"body": gzip.compress(b"SELECT 1")[:-4], "headers": {"Content-Encoding": "gzip"}}, 400, 271),
        ({"body": b"SELECT 1", "decompress": "1"}, 501, 48),
        ({"body": b"SELECT 1", "nosuchsetting": "1"}, 404, 115),
        ({"body": b"SELECT 1", "max_threads": "many"}, 400, None),
        ({"body": b"SELECT 1", "x'; DROP": "1"}, 404, 115),
        ({"body": b"SELECT 1", "database": "nosuch"}, 404, 81),
        ({"body": b"SELECT 1", "database": "a`; DROP DATABASE rev"}, 404, 81),
        ({"body": b"SELECT 1 FORMAT Nosuch"}, 404, 73),
        ({"body": b"SELECT {a:String}"}, 400, 456),
        ({"body": b"SELECT {a:Int8}", "param_a": "x"}, 400, 457),
        ({"body": b"INSERT INTO nosuch FORMAT TSV\n1\n"}, 404, 60),
        ({"body": b"INSERT INTO nosuch FORMAT Nosuch\n1\n"}, 404, None),
        ({"body": b"INSERT INTO"}, 400, 62),
        ({"body": b"KILL QUERY WHERE"}, 400, 62),
        ({"query": "INSERT INTO rev.x VALUES (1)"}, 403, 164),
        ({"body": b"SELECT 1", "method": "PUT"}, 400, 36),
        ({"body": b"SELECT 1", "query_id": "a\r\nb: c"}, 400, 36),
        ({"body": b"SELECT 1", "session_id": "s", "session_check": "1"}, 404, 372),
        ({"body": b"SELECT 1", "session_id": "s", "session_timeout": "soon"}, 400, 36),
        ({"body": b"broken", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, 36),
        ({"body": b"broken", "headers": {"Content-Type": "multipart/form-data"}}, 400, 36),
        ({"body": b"SELECT 1", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 200, 0),
        ({"body": b"SELECT 1", "headers": {"Authorization": "Basic ???"}}, 200, 0),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(ask: In, asked: dict[str, Any], status: int, code: int | None) -> None:
    """A request that is wrong gets ClickHouse's code and status, never an unhandled 500."""
    got = ask(asked.get("body"), **{name: value for name, value in asked.items() if name != "body"})
    assert got.status == status, got.body
    assert code is None or got.code == code


def test_basic_authentication(clickhouse: Any) -> None:
    """Credentials in the Authorization header or the URL count; broken ones are refused."""
    parts = urlsplit(clickhouse.url)

    def status(header: str | None, query: str) -> int:
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        connection.request("GET", f"/?query=SELECT+1{query}", headers={"Authorization": header} if header else {})
        found = connection.getresponse().status
        connection.close()
        return found

    assert status("Basic ???", "") == 403
    assert status("Basic bm9ib2R5Ong=", "") == 403
    assert status(None, "") == 403
    assert status(None, f"&user={clickhouse.user}&password={clickhouse.password}") == 200


def test_headers(ask: In) -> None:
    """Results name their format, DDL does not; every answer has its query id and summary."""
    got = ask(b"SELECT 1", query_id="h1", default_format="JSON")
    assert got.headers["X-ClickHouse-Format"] == "JSON"
    assert got.headers["X-ClickHouse-Query-Id"] == "h1"
    assert "elapsed_ns" in json.loads(got.headers["X-ClickHouse-Summary"])
    got = ask(b"CREATE DATABASE IF NOT EXISTS rev")
    assert "X-ClickHouse-Format" not in got.headers


async def test_sessions_of_two_users_do_not_meet(ask: In, clickhouse: Any, in_thread: In) -> None:
    """A session belongs to its user, and one query at a time uses it."""
    assert ask(b"SET max_block_size = 77", session_id="shared").status == 200
    assert ask(b"SELECT getSetting('max_block_size')", session_id="shared").body == b"77\n"
    busy = [in_thread(ask, b"SELECT sleep(0.3)", session_id="shared") for _ in range(2)]
    assert sorted([one.code for one in await asyncio.gather(*busy)]) == [0, 373]
    assert ask(b"SELECT max(number) FROM numbers(3)", session_id="shared", user=clickhouse.analyst).body == b"2\n"


STAGE = """CREATE TABLE rev._stage_t (p UInt16, o UInt64, customer_id String,
 entries Array(Tuple(kind String, i UInt16, event Tuple(agent_id String, tokens UInt64, metadata String),
 total Decimal(38, 12)))) ENGINE = Memory"""
ENTRIES = """CREATE TABLE rev._entries_t (p UInt16, o UInt64, i UInt16, customer LowCardinality(String), agent String,
 tokens UInt64, metadata String, total Decimal(38, 12)) ENGINE = MergeTree ORDER BY (customer, o, i)"""
MOVE = """INSERT INTO rev._entries_t
 SELECT p, o, e.i, customer_id, e.event.agent_id, e.event.tokens, e.event.metadata, e.total
 FROM rev._stage_t ARRAY JOIN entries AS e WHERE o > {o:Int64}"""
WRITE = {"input_format_json_read_objects_as_strings": "1", "max_threads": "1", "max_insert_threads": "1"}


@pytest.mark.parametrize("where", ["url", "body"])
def test_the_ledgers_way_of_writing(ask: In, client: Any, where: str) -> None:
    """One large JSONEachRow body into a Memory table, then a conditional INSERT … SELECT: exact, one part."""
    for name in ("_stage_t", "_entries_t"):
        client.command(f"DROP TABLE IF EXISTS rev.{name}")
    client.command(STAGE)
    client.command(ENTRIES)
    event = {"agent_id": "a", "tokens": 2400, "metadata": {"x": "FORMAT CSV"}}
    entry = {"kind": "event", "event": event, "total": "123456789012345.000000000012"}
    lines = [
        {"p": 0, "o": o, "customer_id": "acme", "entries": [{**entry, "i": i} for i in range(50)]} for o in range(400)
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    head = "INSERT INTO rev._stage_t FORMAT JSONEachRow"
    got = ask(body, query=head, **WRITE) if where == "url" else ask(head.encode() + b"\n" + body, **WRITE)
    assert got.status == 200, got.body
    assert json.loads(got.headers["X-ClickHouse-Summary"])["written_rows"] == "400"
    large = {"max_block_size": "1000000", "min_insert_block_size_rows": "1000000"}
    for _ in range(2):
        last = ask(b"SELECT if(count() = 0, -1, toInt64(max(o))) FROM rev._entries_t").body.decode().strip()
        assert ask(MOVE.encode(), query_id="rev-ledger-0", param_o=last, **WRITE, **large).status == 200
    found = client.query("SELECT count(), sum(tokens), any(metadata), max(total), uniqExact(_part) FROM rev._entries_t")
    assert [str(value) for value in found.result_rows[0]] == [
        "20000", "48000000", '{"x": "FORMAT CSV"}', "123456789012345.000000000012", "1",
    ]  # fmt: skip
    for name in ("_stage_t", "_entries_t"):
        client.command(f"DROP TABLE rev.{name}")


def test_an_insert_that_fails_leaves_nothing(ask: In, table: str) -> None:
    """A body that is broken at its end is an error, and none of its rows are there."""
    body = b'{"id":1}\n' * 100_000 + b'{"id":"x"}\n'
    got = ask(body, query=f"INSERT INTO {table} FORMAT JSONEachRow")
    assert got.code in (26, 27, 117, 6, 72), got.body
    assert ask(f"SELECT count() FROM {table}".encode()).body == b"0\n"


def test_the_clock_of_a_session(ask: In) -> None:
    """A session that nobody used for its time-out is gone."""
    assert ask(b"SET max_block_size = 5", session_id="short", session_timeout="0").status == 200
    deadline = time.monotonic() + 30
    while ask(b"SELECT 1", session_id="short", session_check="1", session_timeout="0").code != 372:
        assert time.monotonic() < deadline
