"""Tables as files: Parquet that another library reads, and the owner's tables in both kinds."""

import csv
import io
import json
from decimal import Context, Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from schemas import table_files
from schemas.limits import DAY
from schemas.money import DECIMALS
from schemas.parquet_file import Column, ColumnKind, ParquetFile, Value
from tests.unit.ingest.test_webhooks_http import attempt
from tests.unit.web.conftest import NOW, Server
from tests.unit.web.fake_gateway import FakeGateway
from tests.unit.web.test_customers import listed
from tests.unit.web.test_invoices_page import invoice
from tests.unit.web.test_portal import MINE, THEIRS, customer, signed_in
from tests.unit.web.test_prices import shown
from tests.unit.web.test_replay import FOUND
from tests.unit.web.test_spending import BUDGETS, CREDITS, budget, grant
from tests.unit.web.test_webhooks_page import webhook
from warehouse.activity_rows import ComponentRow
from warehouse.dashboard_rows import SeriesRow, SignupsRow
from warehouse.memory import LedgerRow
from web.pages import exported_rows
from web.pages.export_page import bounded
from web.pages.exported_tables import TABLES

CAPPED = shown(
    1,
    action_type="pages.read",
    tiers={"pages": [{"up_to": 1000, "rate": 0}, {"up_to": None, "rate": 5}]},
    tier_mode="volume",
    minimum_cents=Decimal("5.5"),
    cap_cents=100,
)
INVOICE = invoice()
REQUIRED = {
    "components": "?action=chat",
    "attempts": "?webhook=1",
    **dict.fromkeys(("grants", "budgets"), "?customer=acme%2Fcorp"),
}
"""What some tables cannot do without."""
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
    gateway.answers["GET /api/admin/api-keys?limit=1000"] = {"keys": [], "next_cursor": None}
    server.accounts.listed = [listed(name="=cmd()", total="123.455000000001")]
    server.accounts.last = {"acme/corp": NOW}
    server.reads.signed_up = [SignupsRow("x", "", "", 3)]
    server.ledger.rows = [
        LedgerRow("config", event_id=id, config_type="price.set", detail="{}", recorded_at=NOW - id) for id in range(5)
    ]
    gateway.answers |= {
        "GET /api/admin/pricing?limit=1000": {"configs": [CAPPED, shown(2)], "next_cursor": None},
        "GET /api/admin/invoices?limit=1000": {"invoices": [INVOICE], "next_cursor": "c"},
        "GET /api/admin/invoices?limit=1000&cursor=c": {"invoices": [{**INVOICE, "number": None}], "next_cursor": None},
        "GET /api/admin/webhooks?limit=1000": {"webhooks": [webhook(1)], "next_cursor": None},
        "GET /api/admin/webhooks/1": webhook(1),
        f"{CREDITS}live": {"customer_id": MINE, "balance_cents": 12, "grants": [], "test": False},
        BUDGETS: {"customer_id": MINE, "budgets": [budget()]},
    }
    server.accounts.granted = [grant(9, "0.1")]
    server.ledger.attempts[1] = [attempt("retry", log_offset=number, at=NOW - number) for number in range(3)]
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "=1+1", 3, "0.000000000001")]
    server.activity.parts = [ComponentRow("images", "2.5", "7.1")]
    server.replay.found = FOUND
    monkeypatch.setattr(exported_rows, "PAGE", 2)
    counts = {}
    for name in TABLES:
        if name != "customers":
            text, rows = await both(server, name, REQUIRED.get(name, ""))
            assert len(text) == len(rows), name
            counts[name] = len(rows)
    assert counts == {
        **{"agents": 0, "actions": 0, "outcomes": 0, "prices": 2, "keys": 0, "audit": 5, "signups": 1, "usage": 1},
        **{"components": 1, "invoices": 2, "webhooks": 1, "attempts": 3, "grants": 1, "budgets": 1, "replay": 5},
    }
    server.accounts.listed = server.accounts.listed[:1]
    text, rows = await both(server, "customers", "?period=7d&q=a")
    assert (text[0]["total_cents"], rows[0]["total_cents"]) == ("123.455000000001", Decimal("123.455000000001"))
    assert (text[0]["name"], rows[0]["name"]) == ("'=cmd()", "=cmd()")
    assert text[0]["last_event_at"] == "2026-04-26T12:00:00.000Z"


async def test_amounts_of_every_kind_are_exact(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a price all its terms; of an invoice the minor unit of its currency; of a replay what differs."""
    gateway = FakeGateway(server, monkeypatch)
    gateway.answers |= {
        "GET /api/admin/pricing?limit=1000": {"configs": [CAPPED, shown(2)], "next_cursor": None},
        "GET /api/admin/invoices?month=2026-03&customer_id=a&limit=1000": {"invoices": [INVOICE], "next_cursor": None},
    }
    server.replay.found = FOUND
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "", 3, "0.000000000001")]
    ((text, *_), (row, *others)) = await both(server, "prices", "?q=PAGES")
    assert others == [] and (text["tier_mode"], text["minimum_cents"], text["cap_cents"]) == ("volume", "5.5", "100")
    assert json.loads(row["tiers"]) == {"pages": "up to 1,000: $0.00 per unit; then: $0.05 per unit"}
    ((text,), (row,)) = await both(server, "invoices", "?customer=a&month=2026-03")
    assert (text["carried_out_cents"], row["lines_cents"]) == ("-0.22", Decimal("1124.78"))
    assert (text["currency"], text["voided_at"], row["entries"]) == ("usd", "", 804)
    ((text,), (row,)) = await both(server, "usage", "?period=7d&by=customer")
    assert (text["start"], text["total_cents"]) == ("2026-04-26T00:00:00.000Z", "0.000000000001")
    changes = quote('[{"action_type":"chat"}]')
    (rows, _) = await both(server, "replay", f"?changes={changes}")
    assert [(row["part"], row["name"]) for row in rows[:2]] == [("all", ""), ("action", "chat")]
    assert rows[0]["difference_cents"] == "0.499999999999" and rows[-1]["name"] == "2026-04-25"
    assert server.replay.asked[-1].changes[0].slot.action == "chat"


async def test_a_customer_exports_its_own_rows_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the URL says: a customer or a mode is no parameter there, and another's endpoint does not exist."""
    gateway = FakeGateway(server, monkeypatch)
    gateway.answers |= {
        "GET /api/admin/customers/acme%2Fcorp": customer(MINE),
        "GET /api/admin/pricing?limit=1000": {
            "configs": [shown(1), shown(2, customer_id=THEIRS), shown(3, customer_id=MINE), shown(4, action_type="x")],
            "next_cursor": None,
        },
        "GET /api/admin/invoices?customer_id=acme%2Fcorp&limit=1000": {"invoices": [INVOICE], "next_cursor": None},
        "GET /api/admin/webhooks?limit=1000&customer_id=acme%2Fcorp": {
            "webhooks": [webhook(1), webhook(2, test=True)],
            "next_cursor": None,
        },
        "GET /api/admin/webhooks/1": webhook(1),
        "GET /api/admin/webhooks/2": webhook(2, test=True),
        "GET /api/admin/webhooks/4": webhook(4, customer_id=THEIRS),
        f"{CREDITS}live": {"customer_id": MINE, "balance_cents": 12, "grants": [], "test": False},
        f"{CREDITS}test": {"customer_id": MINE, "balance_cents": 12, "grants": [], "test": True},
        BUDGETS: {"customer_id": MINE, "budgets": [budget(), budget(id=6, test=True)]},
    }
    server.ledger.attempts[1] = [attempt("retry")]
    server.reads.buckets = [SeriesRow(NOW // DAY * DAY, "chat", 3, "1")]
    live, test = signed_in(server), signed_in(server, test=True)

    async def exported(name: str, session: dict[str, str], query: str = "") -> list[dict[str, str]]:
        status, _, text = await server.get(f"/portal/export/{name}.csv{query}", **session)
        assert status == 200, text
        return list(csv.DictReader(io.StringIO(text)))

    assert [row["id"] for row in await exported("prices", live)] == ["3", "4"]
    assert [row["number"] for row in await exported("invoices", live)] == ["INV-000001"]
    assert await exported("invoices", test) == []
    assert [row["id"] for row in await exported("webhooks", live)] == ["1"]
    assert len(await exported("attempts", live, "?webhook=1")) == 1
    assert [row["id"] for row in await exported("budgets", test)] == ["6"]
    await exported("outcomes", test, "?status=open")
    await exported("grants", test)
    await exported("usage", test, "?by=agent")
    assert (server.activity.searches[-1].customer, server.activity.searches[-1].tests) == (MINE, (1,))
    assert server.accounts.asked == [(MINE, True)] * 2
    assert (server.reads.series_asked[-1].customer, server.reads.series_asked[-1].test) == (MINE, True)
    for name, query, status in (
        *(("attempts", f"?webhook={id}", 404) for id in (2, 4)),
        *((name, "", 404) for name in ("customers", "audit", "keys", "replay", "agents", "signups")),
        *((name, f"?customer={THEIRS}", 400) for name, table in TABLES.items() if table.portal is not None),
    ):
        assert (await server.get(f"/portal/export/{name}.csv{query}", **live))[0] == status, name
    assert (await server.get("/portal/export/prices.csv", **server.signed_in()))[0] == 303


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("components", "action is required"),
        ("grants", "customer is required"),
        ("budgets?customer=a&mode=both", "mode must be one of live, test"),
        ("attempts?webhook=x", "webhook must be the number of an endpoint"),
        ("usage?mode=test", "customer is required"),
        ("usage?by=model", "by must be one of action, customer, agent"),
        ("replay?from=x", "from "),
    ],
)
async def test_a_wrong_parameter_is_named(server: Server, name: str, says: str) -> None:
    path, _, query = name.partition("?")
    status, _, text = await server.get(f"/export/{path}.csv?{query}", **server.signed_in())
    assert status == 400 and says in text


async def test_what_is_no_file_is_refused(server: Server) -> None:
    for file in ("customers", "customers.xls", "nothing.csv", ".csv"):
        assert (await server.get(f"/export/{file}", **server.signed_in()))[0] == 404
    assert (await server.get("/export/customers.csv?x=1", **server.signed_in()))[0] == 400
    status, headers, _ = await server.get("/export/customers.csv")
    assert status == 303 and headers["Location"].startswith("/login")


async def test_a_long_table_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported_rows, "MOST", 3)

    async def groups() -> table_files.Groups:
        yield [["a"], ["b"]]
        yield [["c"], ["d"]]
        yield [["e"]]

    columns = [Column("name", ColumnKind.TEXT)]
    text = b"".join([piece async for piece in table_files.pieces("csv", columns, bounded(groups()))])
    assert text.decode().splitlines() == [
        "name",
        "a",
        "b",
        "c",
        "Cut after 3 rows; narrow the filters to export the rest.",
    ]


async def test_a_large_group_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none of them holds up the other pages; the bound and its note stay."""
    monkeypatch.setattr(exported_rows, "PAGE", 3)
    monkeypatch.setattr(exported_rows, "MOST", 7)

    async def parts(*sizes: int) -> list[Any]:
        async def groups() -> table_files.Groups:
            for size in sizes:
                yield [(number,) for number in range(size)]

        return [one if isinstance(one, str) else len(one) async for one in bounded(groups())]

    cut = "Cut after 7 rows; narrow the filters to export the rest."
    assert await parts(5) == [3, 2] and await parts(0) == [0] and await parts(3, 4) == [3, 3, 1]
    assert await parts(9) == [3, 3, 1, cut] and await parts(3, 5, 1) == [3, 3, 1, cut]
