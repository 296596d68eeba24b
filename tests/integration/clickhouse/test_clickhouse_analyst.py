"""An analyst reads database rev's objects that do not begin with `_`, and nothing else."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

pytestmark = pytest.mark.integration

DENIED = (62, 164, 452, 497)
"""Syntax, readonly, setting not for him, not enough privileges: what a refusal may be."""


@pytest.fixture(autouse=True)
def ledger(client: Any) -> Iterator[None]:
    """A ledger with a documented table and view, internal tables, and another database."""
    client.command(
        "CREATE TABLE rev.sales (customer String, cents Decimal(38, 12)) ENGINE = MergeTree ORDER BY customer"
    )
    client.command(
        "CREATE VIEW rev.by_customer AS SELECT customer, sum(cents) AS cents FROM rev.sales GROUP BY customer"
    )
    client.command("CREATE TABLE rev._stage_0 (secret String) ENGINE = Memory")
    client.command("CREATE VIEW rev.leak AS SELECT * FROM rev._stage_0")
    client.command("CREATE DATABASE private")
    client.command("CREATE TABLE private.rows (secret String) ENGINE = Memory")
    client.command("INSERT INTO rev.sales VALUES ('acme', 1.47), ('acme', 2), ('other', 3)")
    client.command("INSERT INTO rev._stage_0 VALUES ('hunter2')")
    client.command("INSERT INTO private.rows VALUES ('hunter2')")
    yield
    for name in ("leak", "by_customer", "sales", "_stage_0"):
        client.command(f"DROP TABLE rev.{name}")
    client.command("DROP DATABASE private")


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("SELECT sum(cents) FROM rev.sales", "6.47"),
        ("SELECT cents FROM by_customer WHERE customer = 'acme'", "3.47"),
        ("SELECT sumIf(cents, customer = 'acme') FROM sales PREWHERE cents > 0", "3.47"),
        (
            "WITH t AS (SELECT customer, sum(cents) AS c FROM sales GROUP BY 1) SELECT customer FROM t ORDER BY c",
            "other",
        ),
        ("SELECT count() FROM sales WHERE customer IN (SELECT customer FROM rev.by_customer)", "3"),
        ("SELECT row_number() OVER (PARTITION BY customer ORDER BY cents) FROM sales ORDER BY 1 LIMIT 1", "1"),
        ("SELECT arrayMap(x -> upper(x), groupUniqArray(customer))[1] != '' FROM sales", "1"),
        (
            "SELECT quantileExactIf(0.5)(toFloat64(cents), 1), toStartOfHour(now()) > '2020-01-01' FROM sales",
            None,
        ),
        ("SELECT CASE 1 WHEN 1 THEN 'a' ELSE 'b' END", "a"),
        ("SELECT number FROM numbers(3) UNION ALL SELECT 1 LIMIT 1", None),
        ("DESCRIBE TABLE rev.sales", "customer"),
        ("SELECT s.* EXCEPT (cents) FROM sales AS s ARRAY JOIN [1] AS x ORDER BY ALL LIMIT 1 BY customer", "acme"),
        (
            "SELECT customer, sum(cents) FROM sales GROUP BY ROLLUP(customer) HAVING grouping(customer) >= 0",
            None,
        ),
        ("SELECT JSONExtractString('{\"a\":\"b\"}', 'a'), formatReadableSize(1024), toTypeName(1)", "b"),
        ("SELECT 'system.processes' -- comment\n", "system.processes"),
    ],
)
def test_what_analysts_may_ask(ask: Any, clickhouse: Any, sql: str, first: str | None) -> None:
    """Selects over the documented objects work with the usual functions and clauses."""
    got = ask(sql.encode(), user=clickhouse.analyst)
    assert got.status == 200, got.body
    if first is not None:
        assert got.body.decode().split("\n")[0].split("\t")[0] == first


ATTACKS = {
    "internal table": "SELECT * FROM rev._stage_0",
    "internal table, quoted": 'SELECT * FROM "rev".`_stage_0`',
    "internal table, escaped": r"SELECT * FROM rev.`\x5fstage_0`",
    "internal table, unqualified": "SELECT * FROM _stage_0",
    "internal table, in a subquery": "SELECT (SELECT any(secret) FROM _stage_0)",
    "internal table, through IN": "SELECT 'hunter2' IN _stage_0",
    "internal table, through a view": "SELECT * FROM rev.leak",
    "internal table, joined": "SELECT * FROM sales CROSS JOIN _stage_0",
    "internal table, in EXISTS": "SELECT EXISTS(SELECT 1 FROM rev._stage_0)",
    "internal table, merged": "SELECT * FROM merge('rev', '.*')",
    "internal table, described": "DESCRIBE TABLE rev._stage_0",
    "another database": "SELECT * FROM private.rows",
    "another database, in comments": "SELECT/**/*/**/FROM/**/private/**/./**/rows",
    "another database, through UNION": "SELECT customer FROM rev.sales UNION ALL SELECT secret FROM private.rows",
    "another database, through WITH": "WITH x AS (SELECT * FROM private.rows) SELECT * FROM x",
    "others' queries": "SELECT query FROM system.processes",
    "others' queries, in capitals": "select query from SYSTEM.PROCESSES",
    "others' queries, quoted": "SELECT query FROM `system`.`processes`",
    "others' queries, hex escapes": r"SELECT query FROM `\x73ystem`.processes",
    "others' queries, line breaks": "SELECT query\nFROM\n\tsystem -- x\n.\nprocesses",
    "others' queries, through IN": "SELECT 1 IN system.one",
    "others' queries, SHOW": "SHOW PROCESSLIST",
    "query log": "SELECT * FROM system.query_log",
    "server settings": "SELECT * FROM system.server_settings",
    "table list": "SELECT * FROM information_schema.tables",
    "table list, SHOW": "SHOW TABLES FROM private",
    "table list, SHOW CREATE": "SHOW CREATE TABLE rev._stage_0",
    "file(), scalar": "SELECT file('{secret}')",
    "file(), in capitals": "SELECT FILE('{secret}')",
    "file(), quoted": "SELECT `file`('{secret}')",
    "file(), escaped": r"SELECT `\x66ile`('{secret}')",
    "file(), in a comment": "SELECT file/**/(/**/'{secret}')",
    "file(), as a transformer": "SELECT * APPLY(file) FROM (SELECT '{secret}' AS a)",
    "file(), in a lambda": "SELECT arrayMap(x -> file(x), ['{secret}'])",
    "file(), in ORDER BY": "SELECT 1 ORDER BY file('{secret}')",
    "file(), in LIMIT": "SELECT 1 LIMIT length(file('{secret}'))",
    "file(), table": "SELECT * FROM file('{secret}', 'LineAsString')",
    "file(), described": "DESCRIBE TABLE file('{secret}', 'CSV')",
    "file(), in EXPLAIN": "EXPLAIN SELECT file('{secret}')",
    "file(), in a view function": "SELECT * FROM view(SELECT file('{secret}'))",
    "INTO OUTFILE": "SELECT 1 INTO OUTFILE '{out}'",
    "INTO OUTFILE, with a format": "SELECT 1 INTO OUTFILE '{out}' FORMAT CSV",
    "INTO OUTFILE, in comments": "SELECT 1 INTO/**/OUTFILE '{out}' TRUNCATE",
    "FROM INFILE": "INSERT INTO rev.sales FROM INFILE '{secret}' FORMAT CSV",
    "url()": "SELECT * FROM url('http://127.0.0.1:{port}/', 'LineAsString')",
    "s3()": "SELECT * FROM s3('http://127.0.0.1:{port}/a/b', 'CSV', 'a String')",
    "remote()": "SELECT * FROM remote('127.0.0.1:{port}', system.one)",
    "cluster()": "SELECT * FROM cluster('default', system.processes)",
    "mysql()": "SELECT * FROM mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "postgresql()": "SELECT * FROM postgresql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "mongodb()": "SELECT * FROM mongodb('127.0.0.1:{port}', 'a', 'b', 'c', 'd', 'x Int8')",
    "sqlite()": "SELECT * FROM sqlite('{secret}', 'a')",
    "jdbc()": "SELECT * FROM jdbc('jdbc:x', 'a')",
    "odbc()": "SELECT * FROM odbc('DSN=x', 'a')",
    "hdfs()": "SELECT * FROM hdfs('hdfs://127.0.0.1:{port}/a', 'CSV', 'a String')",
    "executable()": "SELECT * FROM executable('id', 'TSV', 'a String')",
    "Python()": "SELECT * FROM Python(sys)",
    "dictGet()": "SELECT dictGet('rev.d', 'a', 1)",
    "dictionary()": "SELECT * FROM dictionary('d')",
    "joinGet()": "SELECT joinGet('private.rows', 'secret', 1)",
    "hasColumnInTable()": "SELECT hasColumnInTable('private', 'rows', 'secret')",
    "getServerSetting()": "SELECT getServerSetting('max_server_memory_usage')",
    "AI functions": "SELECT aiGenerate('x')",
    "sleep()": "SELECT sleep(3)",
    "INSERT": "INSERT INTO rev.sales VALUES ('x', 1)",
    "INSERT with data": "INSERT INTO rev.sales FORMAT TSV\nx\t1\n",
    "INSERT into a function": "INSERT INTO FUNCTION file('{out}', 'CSV', 'a Int8') VALUES (1)",
    "CREATE": "CREATE TABLE rev.mine (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY": "CREATE TEMPORARY TABLE mine (a Int8)",
    "CREATE VIEW": "CREATE VIEW rev.mine AS SELECT * FROM system.processes",
    "CREATE FUNCTION": "CREATE FUNCTION mine AS x -> file(x)",
    "CREATE DICTIONARY": "CREATE DICTIONARY rev.d (a UInt64) PRIMARY KEY a"
    " SOURCE(FILE(PATH '{secret}' FORMAT 'CSV')) LAYOUT(FLAT())",
    "ALTER": "ALTER TABLE rev.sales DELETE WHERE 1",
    "DROP": "DROP TABLE rev.sales",
    "TRUNCATE": "TRUNCATE TABLE rev.sales",
    "OPTIMIZE": "OPTIMIZE TABLE rev.sales FINAL",
    "SYSTEM": "SYSTEM SHUTDOWN",
    "KILL": "KILL QUERY WHERE 1 SYNC",
    "GRANT": "GRANT ALL ON *.* TO analyst",
    "SET ROLE": "SET ROLE writer",
    "EXECUTE AS": "EXECUTE AS default SELECT 1",
    "BACKUP": "BACKUP DATABASE rev TO File('{out}')",
    "SET readonly": "SET readonly = 0",
    "SET": "SET max_threads = 8",
    "USE": "USE private",
    "SETTINGS readonly": "SELECT 1 SETTINGS readonly = 0",
    "SETTINGS limits": "SELECT 1 SETTINGS max_execution_time = 0",
    "SETTINGS in a subquery, readonly": "SELECT * FROM (SELECT currentDatabase() SETTINGS readonly = 0)",
    "SETTINGS in a union": "SELECT 1 UNION ALL (SELECT 2 SETTINGS max_execution_time = 0)",
    "SETTINGS of a view function": "SELECT * FROM view(SELECT 1 SETTINGS readonly = 0)",
    "SETTINGS in a subquery": "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
    "two statements": "SELECT 1; DROP TABLE rev.sales",
    "two statements, with a comment": "SELECT 1 /*; */; SELECT file('{secret}')",
    "two statements, unfinished string": "SELECT '\\'; SELECT file('{secret}') --'",
    "PARALLEL WITH": "SELECT 1 PARALLEL WITH DROP TABLE rev.sales",
    "EXPLAIN AST": "EXPLAIN AST SELECT 1",
    "EXPLAIN ESTIMATE": "EXPLAIN ESTIMATE SELECT * FROM rev._stage_0",
    "CHECK": "CHECK TABLE rev.sales",
    "EXISTS": "EXISTS TABLE private.rows",
    "ATTACH": "ATTACH TABLE rev.mine FROM '{secret}' (a Int8) ENGINE = File(CSV)",
}


@pytest.mark.parametrize("attack", list(ATTACKS))
@pytest.mark.parametrize("way", ["body", "url"])
def test_attacks_are_refused(ask: Any, clickhouse: Any, client: Any, tmp_path: Path, attack: str, way: str) -> None:
    """Nothing is read, written or reached that is not the analyst's, and the answer is a refusal."""
    secret, out = tmp_path / "secret", tmp_path / "out"
    secret.write_text("hunter2\n")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        names = {"{secret}": str(secret), "{out}": str(out), "{port}": str(listener.getsockname()[1])}
        sql = ATTACKS[attack]
        for name, value in names.items():
            sql = sql.replace(name, value)
        if way == "body":
            got = ask(sql.encode(), user=clickhouse.analyst)
        else:
            got = ask(b"", method="POST", user=clickhouse.analyst, query=sql)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert got.code in DENIED, got.body
    assert b"hunter2" not in got.body
    assert not out.exists()
    assert client.command("SELECT count() FROM rev.sales") == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"dialect": "prql"},
        {"max_execution_time": "x"},
        {"allow_introspection_functions": "1"},
        {"format_schema": "/etc/passwd"},
        {"additional_result_filter": "file('/etc/passwd') = ''"},
        {"log_queries": "1"},
        {"max_memory_usage'=0,readonly": "0"},
        {"database": "private"},
        {"database": "system"},
    ],
    ids=str,
)
def test_settings_that_are_not_the_analysts(ask: Any, clickhouse: Any, settings: dict[str, str]) -> None:
    """A setting or database that could open a door is refused, not ignored."""
    got = ask(b"SELECT 1", user=clickhouse.analyst, **settings)
    assert got.code in (*DENIED, 115), got.body


def test_readonly_stays_on(ask: Any, clickhouse: Any) -> None:
    """readonly=0 in the URL changes nothing."""
    got = ask(b"SELECT getSetting('readonly')", user=clickhouse.analyst, readonly="0")
    assert got.code == 497 and b"getSetting" in got.body
    assert ask(b"DROP TABLE rev.sales", user=clickhouse.analyst, readonly="0").code == 164


def test_identifier_parameters_are_checked(ask: Any, clickhouse: Any) -> None:
    """Names that arrive as parameters are held to the same rule."""
    sql = b"SELECT * FROM {d:Identifier}.{t:Identifier}"
    assert ask(sql, user=clickhouse.analyst, param_d="rev", param_t="sales").status == 200
    assert ask(sql, user=clickhouse.analyst, param_d="system", param_t="processes").code == 497
    assert ask(sql, user=clickhouse.analyst, param_d="rev", param_t="_stage_0").code == 497


def test_external_tables_are_refused(ask: Any, clickhouse: Any) -> None:
    """An analyst may not send tables along with a query."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="ext"; filename="ext"\r\n\r\n1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT * FROM ext\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    got = ask(body, user=clickhouse.analyst, headers=headers, ext_structure="a UInt8")
    assert got.code in DENIED, got.body


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT count() FROM numbers(1e12) WHERE NOT ignore(sipHash64(number))", 159),
        ("SELECT length(groupArray(number)) FROM numbers(1e9)", 241),
    ],
)
def test_limits_end_a_query(ask: Any, clickhouse: Any, sql: str, code: int) -> None:
    """A query that takes too long or too much memory ends with the server's error."""
    got = ask(sql.encode(), user=clickhouse.analyst, **({"max_execution_time": "1"} if code == 159 else {}))
    assert got.code == code, got.body


def test_clickhouse_connect_connects_as_analyst(analyst: Any) -> None:
    """The client's handshake works, and it knows which settings it may send."""
    assert analyst.query("SELECT sum(cents) FROM rev.sales", settings={"max_threads": 1}).result_rows[0][0] > 6
    with pytest.raises(DatabaseError, match="Code: 497"):
        analyst.query("SELECT * FROM system.processes")


def test_the_handshake_opens_no_door(ask: Any, clickhouse: Any) -> None:
    """Only the handshake itself is let through, not what is hung on to it."""
    handshake = b"SELECT name, value, readonly FROM system.settings LIMIT 10000"
    assert ask(handshake, user=clickhouse.analyst).status == 200
    for tail in (
        b"\n UNION ALL SELECT query, query, 1 FROM system.processes",
        b"\n FORMAT Native UNION ALL SELECT query, query, 1 FROM system.processes",
        b" SETTINGS readonly = 0",
        b"\n FORMAT Native SETTINGS format_schema = '/etc/passwd'",
        b" INTO OUTFILE 'x'",
    ):
        assert ask(handshake + tail, user=clickhouse.analyst).code in DENIED, tail


def test_an_analyst_kills_nobody(ask: Any, clickhouse: Any) -> None:
    """KILL QUERY is refused as a statement, whatever it names."""
    got = ask(b"KILL QUERY WHERE user = 'rev' ASYNC", user=clickhouse.analyst)
    assert got.code == 164
