"""Reading a statement's form: INSERT data, FORMAT, KILL, what sticks to a session."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.clickhouse import statement


@pytest.mark.parametrize(
    ("buffer", "head", "format_name", "data"),
    [
        (b"INSERT INTO a.b FORMAT TSV\n1\t2\n", "INSERT INTO a.b ", "TSV", b"1\t2\n"),
        (b"insert into t(a, b) format Native\r\n\x00\x01", "insert into t(a, b) ", "Native", b"\x00\x01"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT CSV;\n1", "INSERT INTO t SETTINGS a = 1 ", "CSV", b"1"),
        (b"/* FORMAT x */ INSERT INTO `FORMAT` FORMAT CSV 1", "/* FORMAT x */ INSERT INTO `FORMAT` ", "CSV", b"1"),
        (b"INSERT INTO t FORMAT CSV", "INSERT INTO t ", "CSV", b""),
        (b"INSERT INTO t FORMAT JSONEachRow\n\n{}", "INSERT INTO t ", "JSONEachRow", b"\n{}"),
    ],
)
def test_data_behind_an_insert(buffer: bytes, head: str, format_name: str, data: bytes) -> None:
    """The data begin behind the format's name and one line end."""
    found = statement.insert(buffer)
    assert found is not None
    assert (found.head, found.format, buffer[found.data :]) == (head, format_name, data)


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t VALUES (' FORMAT CSV ')",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"INSERT INTO t FORMAT",
        b"SELECT 'INSERT INTO t FORMAT CSV'",
        b"",
    ],
)
def test_inserts_that_hold_their_own_data(sql: bytes) -> None:
    """VALUES, SELECT and INFILE are statements as a whole."""
    assert statement.insert(sql) is None


@given(st.binary())
def test_data_are_never_read_as_a_statement(data: bytes) -> None:
    """Whatever bytes follow, the statement ends where its line does."""
    buffer = b"INSERT INTO t FORMAT Native\n" + data
    found = statement.insert(buffer)
    assert found is not None and buffer[found.data :] == data


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format Native;", "Native"),
        (b"SELECT 1 FORMAT JSON SETTINGS a = 1", "JSON"),
        (b"SELECT 1 -- FORMAT JSON", None),
        (b"SELECT ' FORMAT JSON'", None),
        (b"SELECT format FROM t", None),
        (b"SELECT 1", None),
    ],
)
def test_the_format_asked_for(sql: bytes, name: str | None) -> None:
    """Only the clause at the end counts, not comments, strings or columns."""
    assert statement.output_format(sql) == name


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"KILL QUERY WHERE query_id = 'a' SYNC", (b"query_id = 'a'", b"SYNC", None)),
        (b"kill query where 1 format JSON;", (b"1", b"ASYNC", "JSON")),
        (b"KILL QUERY WHERE a = 'SYNC' TEST FORMAT TSV", (b"a = 'SYNC'", b"TEST", "TSV")),
        (b"KILL QUERY WHERE", None),
        (b"KILL QUERY WHERE SYNC", None),
        (b"KILL MUTATION WHERE 1", None),
        (b"SELECT 'KILL QUERY WHERE 1'", None),
    ],
)
def test_kill(sql: bytes, expected: tuple[bytes, bytes, str | None] | None) -> None:
    """A KILL QUERY falls into condition, mode and format."""
    found = statement.kill(sql)
    assert (tuple(found) if found else None) == expected


@pytest.mark.parametrize(
    ("sql", "select", "sticky"),
    [
        (b"SELECT 1", True, False),
        (b" /* x */ ((SELECT 1))", True, False),
        (b"WITH 1 AS a SELECT a", True, False),
        (b"SET a = 1", False, True),
        (b"-- x\nuse rev", False, True),
        (b"create temporary table x (a Int8)", False, True),
        (b"CREATE TABLE x (a Int8)", False, False),
        (b"SHOW TABLES", False, False),
        (b"", False, False),
    ],
)
def test_kinds(sql: bytes, select: bool, sticky: bool) -> None:
    """SELECTs can be streamed; SET, USE and temporary tables need a session."""
    assert (statement.is_select(sql), statement.is_sticky(sql)) == (select, sticky)
