"""Exports of invoices: files with hashes, a journal that balances to zero, repeats and cuts that double nothing."""

import csv
import hashlib
import http.client
import io
import json
import re
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.limits import DAY
from tests.unit.collector.test_invoices_http import BODY, World, gateway, settings, world
from tests.unit.ingest.conftest import ADMIN
from tools.exporter import command
from tools.exporter.destinations import Directory, ExportedFile, ExportError
from tools.exporter.manifest import Format, load
from tools.exporter.postings import postings
from warehouse import invoice_sums

__all__ = ["gateway", "settings", "world"]


async def answers(world: World) -> dict[str, Any]:
    """What a gateway answers to everything that an export asks."""
    found = {}
    for query in ("limit=1000&month=2026-04", "limit=1000&month=2026-05", "limit=1000"):
        found[f"/api/admin/invoices?{query}"] = (await world.admin("GET", f"?{query}"))[1]
    for one in found["/api/admin/invoices?limit=1000"]["invoices"]:
        found[f"/api/admin/invoices/{one['number']}"] = (await world.admin("GET", f"/{one['number']}"))[1]
    return found


async def two_months(world: World) -> dict[str, Any]:
    """Invoices with tax, a credit note, a payment, one given up and one void."""
    gateway = world.gateway
    world.begin()
    await world.step()
    for name in ("acme", "b", "c"):
        key = await gateway.make_key(name)
        for _ in range(40):
            assert (await gateway.call("POST", "/v1/meter", BODY, key)).status == 201
        billing = {"tax_percent": "7.5", "tax_reason": "=SUM(A1)"}
        path = f"/api/admin/customers/{name}/billing"
        assert (await gateway.call("PUT", path, billing, ADMIN)).status == 200
    gateway.now += 5 * DAY
    await world.step()
    assert (await world.admin("POST", "/INV-000001/payments", {"reference": "w", "amount_cents": 20}))[0] == 200
    assert (await world.admin("POST", "/INV-000002/uncollectible"))[0] == 200
    assert (await world.admin("POST", "/INV-000003/void"))[0] == 200
    event = next(row.event_id for row in gateway.ledger.rows if row.kind == "event" and row.customer_id == "acme")
    assert (await gateway.call("POST", f"/api/admin/events/{event}/void", {"reason": "x"}, ADMIN)).status == 201
    gateway.now += 31 * DAY
    await world.step()
    return await answers(world)


async def test_the_journal_balances_to_zero(world: World) -> None:
    """Each document by itself, and receivables are what is still due."""
    found = await two_months(world)
    every = found["/api/admin/invoices?limit=1000"]["invoices"]
    notes = {one["number"]: found[f"/api/admin/invoices/{one['number']}"]["credit_notes"] for one in every}
    posted = [one for month in ("2026-04", "2026-05", "2026-06") for one in postings(month, every, notes)]
    sums: dict[str, int] = defaultdict(int)
    accounts: dict[str, int] = defaultdict(int)
    for one in posted:
        sums[one.date, one.memo] += one.debit_cents - one.credit_cents  # type: ignore[index]
        accounts[one.account] += one.debit_cents - one.credit_cents
    assert set(sums.values()) == {0} and sum(accounts.values()) == 0
    due = sum(one["balance_cents"] for one in every if one["state"] in ("final", "paid"))
    assert accounts["accounts_receivable"] == due > 0 and accounts["cash"] == 20
    assert accounts["bad_debt_expense"] == 63 and accounts["tax_payable"] < 0
    assert {"credit note CN-000001 of INV-000001", "invoice INV-000003 is void"} <= {one.memo for one in posted}


async def test_files_have_their_hashes_and_a_repeat_writes_the_same(world: World, tmp_path: Path) -> None:
    found = await two_months(world)
    export_all(tmp_path, found)
    written = contents(tmp_path)
    told = json.loads(written["manifest.json"])
    assert {one["name"]: one["sha256"] for one in told["files"]} == {
        name: hashlib.sha256(body).hexdigest() for name, body in written.items() if name != "manifest.json"
    }
    export_all(tmp_path, found)
    assert contents(tmp_path) == written
    invoices = list(csv.DictReader((tmp_path / "invoices.csv").read_text().splitlines()))
    lines = list(csv.DictReader((tmp_path / "lines-0001.csv").read_text().splitlines()))
    assert [one["number"] for one in invoices] == ["INV-000001", "INV-000002", "INV-000003"]
    assert {one["tax_reason"] for one in invoices} == {"'=SUM(A1)"}
    for one in invoices:
        amounts = [Decimal(line["amount_cents"]) for line in lines if line["number"] == one["number"]]
        assert sum(amounts) == Decimal(one["lines_cents"])
    (tmp_path / "journal.csv").write_text("changed")
    with opened(tmp_path) as place, pytest.raises(ExportError, match=r"journal\.csv is missing or was changed"):
        load(place, "2026-04", "csv")
    with opened(tmp_path / "new") as place, pytest.raises(ExportError, match="month 2026-05 has no final invoices yet"):
        empty = {"/api/admin/invoices?limit=1000&month=2026-05": {"invoices": [], "next_cursor": None}}
        command.export_invoices(load(place, "2026-05", "csv"), empty.__getitem__, "invoices")


@contextmanager
def opened(path: Path) -> Iterator[Directory]:
    """A directory, as `rev export` opens and closes it."""
    place = Directory(path)
    try:
        yield place
    finally:
        place.close()


def no_grants(sql: str) -> Iterator[bytes]:
    """A ledger in which nobody paid for credit."""
    assert "'credit.granted'" in sql
    return iter(())


def export_all(path: Path, found: dict[str, Any], format: Format = "csv", query: command.Query = no_grants) -> None:
    """Write what comes from the gateway."""
    with opened(path) as place:
        export = load(place, "2026-04", format)
        for kind in ("invoices", "lines"):
            command.export_invoices(export, found.__getitem__, kind)
        command.export_postings(export, found.__getitem__, query)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


async def test_what_is_given_up_may_be_paid_or_void_later(world: World) -> None:
    """Then it is no expense any more, and the journal of the month before stays."""
    found = await two_months(world)
    one = found["/api/admin/invoices/INV-000002"]["invoice"]
    before = list(postings("2026-0", [one], {}))
    late = {"reference": "late", "amount_cents": 63, "recorded_at": "2026-07-01T00:00:00.000Z"}
    for changed in ({"payments": [late], "state": "paid"}, {"voided_at": late["recorded_at"], "state": "void"}):
        after = list(postings("2026-0", [{**one, **changed}], {}))
        assert after[: len(before)] == before and len(after) > len(before)
        sums: dict[str, int] = defaultdict(int)
        for each in after:
            sums[each.account] += each.debit_cents - each.credit_cents
        assert sums["bad_debt_expense"] == sums["accounts_receivable"] == 0 == sum(sums.values())


class MemoryExports:
    """ClickHouse as the export asks it: rows by partition, one row for each offset."""

    def __init__(self) -> None:
        self.ends = {"0": 3, "1": 0}
        self.asked: list[str] = []
        self.cut = False

    def __call__(self, sql: str) -> Iterator[bytes]:
        self.asked.append(sql)
        if "max(entries_offset)" in sql:
            yield "".join(json.dumps([name, str(end)]) + "\n" for name, end in self.ends.items()).encode()
        elif sql.startswith("SELECT count()"):
            yield f"{len(self.rows(sql))}\n".encode()
        else:
            yield b"head\n"
            if self.cut:
                raise OSError("connection reset")
            yield "".join(f"{row}\n" for row in self.rows(sql)).encode()

    def rows(self, sql: str) -> list[str]:
        wanted = re.findall(r"raw_partition = (\d+) AND entries_offset > (-?\d+) AND entries_offset <= (\d+)", sql)
        return [f"{name}/{offset}" for name, after, end in wanted for offset in range(int(after) + 1, int(end) + 1)]


def export_entries(path: Path, ledger: MemoryExports, format: Format = "csv") -> list[ExportedFile]:
    with opened(path) as place:
        export = load(place, "2026-04", format)
        command.export_entries(export, ledger)
        return export.manifest.files


def test_entries_are_exported_once(tmp_path: Path) -> None:
    """What comes later is in another file; a cut leaves nothing that counts."""
    ledger = MemoryExports()
    export_entries(tmp_path, ledger)
    export_entries(tmp_path, ledger)
    ledger.ends = {"0": 5, "1": 0, "2": 1}
    ledger.cut = True
    with pytest.raises(OSError, match="connection reset"):
        export_entries(tmp_path, ledger)
    ledger.cut = False
    with opened(tmp_path) as place:
        assert [one.name for one in load(place, "2026-04", "csv").manifest.files] == ["entries-0001.csv"]
    files = export_entries(tmp_path, ledger)
    assert [(one.name, one.rows) for one in files] == [("entries-0001.csv", 5), ("entries-0002.csv", 4)]
    rows = [row for one in files for row in (tmp_path / one.name).read_text().splitlines()[1:]]
    assert sorted(rows) == sorted({*(f"0/{n}" for n in range(6)), "1/0", "2/0", "2/1"}) and len(rows) == 9
    with opened(tmp_path) as place:
        with pytest.raises(ExportError, match="holds 2026-04 as csv; export to another place"):
            load(place, "2026-05", "csv")
        with pytest.raises(ExportError, match="holds 2026-04 as csv; export to another place"):
            load(place, "2026-04", "parquet")
        with pytest.raises(ExportError, match=r"another export writes to .*; wait until it has ended"):
            Directory(tmp_path)


def test_entries_are_all_that_invoices_are_of(tmp_path: Path) -> None:
    """Also what a month's minimum, cap or volume step adds; text of senders is no formula."""
    ledger = MemoryExports()
    export_entries(tmp_path / "csv", ledger)
    export_entries(tmp_path / "parquet", ledger, "parquet")
    counted, written, raw = ledger.asked[1], ledger.asked[2], ledger.asked[5]
    summed = (Path(invoice_sums.__file__).parent / "sql" / "queries" / "invoice_sums.sql").read_text()
    kinds = "kind IN ('event', 'charge', 'adjustment', 'void')"
    assert kinds in summed and kinds in counted and kinds in written
    for column in command.GIVEN:
        safe = f"if(match({column}, '^[=+@\\\\t\\\\r-]'), concat('\\'', {column}), {column}) AS {column}"
        assert safe in written
    assert written.endswith("FORMAT CSVWithNames") and raw.endswith("FORMAT Parquet")
    assert raw == written.replace("CSVWithNames", "Parquet").replace(
        ", ".join(selected(command.COLUMNS, command.GIVEN)), ", ".join(command.COLUMNS)
    )
    assert written.index("event_id") < written.index("match(customer_id") < written.index("match(reason")


def selected(columns: Sequence[str], given: Sequence[str]) -> list[str]:
    return [command._safe(one) if one in given else one for one in columns]


def test_a_ledger_that_breaks_off_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse ends an answer so when a query fails in its middle."""

    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise http.client.IncompleteRead(b"")

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Cut())
    query = command.ledger_query(command.LedgerAddress("http://ledger", "u", "p"))
    with pytest.raises(ExportError, match="the ledger's answer breaks off"):
        list(query("SELECT 1"))
