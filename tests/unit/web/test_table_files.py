"""Tables as files: Parquet that another library reads, and the owner's tables in both kinds."""

import csv
import io
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from schemas import table_files
from schemas.money import DECIMALS
from schemas.parquet_file import Column, ColumnKind, ParquetFile, Value
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import listed
from tests.unit.web.test_prices import shown
from warehouse.dashboard_rows import SignupsRow
from warehouse.memory import LedgerRow
from web.pages import export_page

EXACT = Context(prec=60)
COLUMNS = [Column(kind.value, kind) for kind in ColumnKind]
ROWS = st.tuples(
    st.none() | st.text(st.characters(blacklist_categories=("Cs",)), max_size=9),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(1 - 10**38, 10**38 - 1),
    st.none() | st.integers(0, 4_102_444_800_000),
    st.none() | st.booleans(),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(ROWS, max_size=20), max_size=4))
def test_what_is_written_is_read_to_the_last_decimal(groups: list[list[tuple[Value, ...]]]) -> None:
    """Any values, in any number of groups, by a reader that is not ours."""
    file = ParquetFile(COLUMNS)
    written = b"".join(file.group(group) for group in groups) + file.end("cut")
    source = parquet.ParquetFile(io.BytesIO(written))
    assert source.metadata.metadata == {b"note": b"cut"}
    table = source.read()
    assert [str(field.type) for field in table.schema] == [
        *("string", "int64", f"decimal128(38, {DECIMALS})", "timestamp[ms, tz=UTC]", "bool")
    ]
    read = [tuple(row.values()) for row in table.to_pylist()]
    expected = [row for group in groups for row in group]
    assert [(text, count, flag) for text, count, _, _, flag in read] == [
        (text, count, flag) for text, count, _, _, flag in expected
    ]
    assert [None if cents is None else int(cents.scaleb(DECIMALS, EXACT)) for _, _, cents, _, _ in read] == [
        row[2] for row in expected
    ]
    assert [None if at is None else round(at.timestamp() * 1000) for _, _, _, at, _ in read] == [
        row[3] for row in expected
    ]


async def both(server: Server, name: str, query: str = "") -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """A table as CSV and as Parquet."""
    assert server.session is not None
    status, headers, text = await server.get(f"/export/{name}.csv{query}", **server.signed_in())
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8"), text
    async with server.session.get(f"{server.url}/export/{name}.parquet{query}", headers=server.signed_in()) as response:
        assert response.headers["Content-Disposition"] == f'attachment; filename="{name}.parquet"'
        rows = parquet.read_table(io.BytesIO(await response.read())).to_pylist()
    return list(csv.DictReader(io.StringIO(text))), rows


async def test_every_table_is_a_file_of_both_kinds(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows with the same exact amounts; every table of the list is asked for."""
    gateway = FakeGateway(server, monkeypatch)
    gateway.answers["GET /api/admin/pricing?limit=1000"] = {"configs": [shown(1)], "next_cursor": None}
    gateway.answers["GET /api/admin/api-keys?limit=1000"] = {"keys": [], "next_cursor": None}
    server.accounts.listed = [listed(name="=cmd()", total="123.455000000001")]
    server.accounts.last = {"acme/corp": NOW}
    server.reads.signed_up = [SignupsRow("x", "", "", 3)]
    server.ledger.rows = [
        LedgerRow("config", event_id=id, config_type="price.set", detail="{}", recorded_at=NOW - id) for id in range(5)
    ]
    monkeypatch.setattr(export_page, "PAGE", 2)
    counts = {}
    for name in export_page.TABLES:
        if name != "customers":
            text, rows = await both(server, name)
            assert len(text) == len(rows), name
            counts[name] = len(rows)
    assert (counts["prices"], counts["audit"], counts["signups"]) == (1, 5, 1)
    server.accounts.listed = server.accounts.listed[:1]
    text, rows = await both(server, "customers", "?period=7d&q=a")
    assert (text[0]["total_cents"], rows[0]["total_cents"]) == ("123.455000000001", Decimal("123.455000000001"))
    assert (text[0]["name"], rows[0]["name"]) == ("'=cmd()", "=cmd()")
    assert text[0]["last_event_at"] == "2026-04-26T12:00:00.000Z"


async def test_what_is_no_file_is_refused(server: Server) -> None:
    for file in ("customers", "customers.xls", "nothing.csv", ".csv"):
        assert (await server.get(f"/export/{file}", **server.signed_in()))[0] == 404
    assert (await server.get("/export/customers.csv?x=1", **server.signed_in()))[0] == 400
    status, headers, _ = await server.get("/export/customers.csv")
    assert status == 303 and headers["Location"].startswith("/login")


async def test_a_long_table_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_page, "MOST", 3)

    async def groups() -> table_files.Groups:
        yield [["a"], ["b"]]
        yield [["c"], ["d"]]
        yield [["e"]]

    columns = [Column("name", ColumnKind.TEXT)]
    text = b"".join([piece async for piece in table_files.pieces("csv", columns, export_page._bounded(groups()))])
    assert text.decode().splitlines() == [
        "name",
        "a",
        "b",
        "c",
        "Cut after 3 rows; narrow the filters to export the rest.",
    ]


async def test_a_large_group_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none of them holds up the other pages; the bound and its note stay."""
    monkeypatch.setattr(export_page, "PAGE", 3)
    monkeypatch.setattr(export_page, "MOST", 7)

    async def parts(*sizes: int) -> list[Any]:
        async def groups() -> table_files.Groups:
            for size in sizes:
                yield [(number,) for number in range(size)]

        return [one if isinstance(one, str) else len(one) async for one in export_page._bounded(groups())]

    cut = "Cut after 7 rows; narrow the filters to export the rest."
    assert await parts(5) == [3, 2] and await parts(0) == [0] and await parts(3, 4) == [3, 3, 1]
    assert await parts(9) == [3, 3, 1, cut] and await parts(3, 5, 1) == [3, 3, 1, cut]
