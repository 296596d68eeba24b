"""Migrations, the schema that they come to, and the queries that docs/ledger.md promises."""

import itertools
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.blocks import Block, LogRecord
from ledger.store import LedgerTable
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.entries import Entry, EntryRecord, encode
from warehouse.client import ClickHouse
from warehouse.errors import WrongSchema
from warehouse.migrate import applied, migrate, schema
from warehouse.sqltext import migrations, script

pytestmark = pytest.mark.integration

DOCUMENT = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text()
_tokens = itertools.count()
QUERIES = re.findall(r"([^\n]*)\n\n```sql\n(.*?)```", DOCUMENT, re.DOTALL)
"""Each with the line before it."""


@pytest.fixture
async def analyst(engine: Any) -> AsyncIterator[ClickHouse]:
    async with ClickHouse(engine.url, *engine.analyst) as client:
        yield client


@pytest.fixture
async def charged(db: ClickHouse) -> None:
    """A ledger with an entry of each kind."""
    now = time.time_ns() // 1_000_000
    event = MeterEvent(
        "copilot", "chat", tokens=30, outcome="success", model="m", metadata=msgspec.Raw(b'{"team":"blue"}')
    )
    own = PriceRef(9, "chat", Rates("0.5", "0.01", "0.25"), 12)
    entries = [
        Entry("event", 0, event, 0, base="0.5", token="0.3", bonus="0.25", total="1.05"),
        Entry("rejected", 1, event, reason="no price for action 'chat'"),
    ]
    task = MeterEvent("copilot", "outcome_charge", outcome="pending", task_id="task")
    promised = Entry("registered", event=task, outcome_id="oc_458752", price_on_success="4900", price_on_failure="0")
    closing = msgspec.Raw(b'{"evidence":{"ticket":1}}')
    charge = Entry("charge", event=task, bonus="4900", total="4900", original=458752, detail=closing)
    charge = msgspec.structs.replace(charge, outcome_id="oc_458752", verdict="succeeded")
    taken = Entry("void", event=task, bonus="-4900", total="-4900", original=524288, type="charge")
    taken = msgspec.structs.replace(taken, outcome_id="oc_458752", reason="mistake", actor="admin")
    open = Entry("event", event=task, price=0, base="0.5", total="0.5", outcome_id="oc_655360")
    waived = Entry("waived", event=task, original=786432, outcome_id="oc_786432", verdict="expired")
    changed = msgspec.Raw(b'{"id":9,"customer_id":"acme","action_type":"chat"}')
    records = [
        EntryRecord("acme", 5, now, entries, [own], import_id="april"),
        EntryRecord("acme", 7, now, [promised]),
        EntryRecord("acme", 8, now, [charge]),
        EntryRecord("acme", 9, now, [taken]),
        EntryRecord("acme", 10, now, [open], [own]),
        EntryRecord("acme", 12, now, [msgspec.structs.replace(promised, outcome_id="oc_786432")]),
        EntryRecord("acme", 13, now, [waived]),
        EntryRecord("_config", 14, now, [Entry("config", type="pricing.updated", actor="admin", detail=changed)]),
    ]
    table = LedgerTable(db, lambda: f"d{next(_tokens)}")
    await table.take_over(0)
    await table.write(0, Block(-1, tuple(LogRecord(i, now, encode(record)) for i, record in enumerate(records))))


async def test_all_migrations_come_to_the_schema(db: ClickHouse) -> None:
    """The schema after the last migration is warehouse/sql/schema.sql, to the letter."""
    assert await schema(db) == script("schema")


async def test_migrations_are_applied_once_and_recorded(db: ClickHouse) -> None:
    """A second run applies nothing; _migrations lists every one of them."""
    assert await migrate(db) == []
    assert await applied(db) == {migration.number: migration.name for migration in migrations()}


async def test_a_migration_that_was_cut_off_is_applied_again(db: ClickHouse) -> None:
    """A migration whose statements ran but which was not recorded is run again without harm."""
    last = migrations()[-1]
    await db.execute(f"ALTER TABLE rev._migrations DELETE WHERE number = {last.number} SETTINGS mutations_sync = 2")
    assert await migrate(db) == [last]
    assert await schema(db) == script("schema")


async def test_a_newer_schema_is_refused(db: ClickHouse) -> None:
    """A database with a migration that this program does not know is not touched."""
    await db.insert("INSERT INTO rev._migrations (number, name) VALUES (999, '999_future.sql')")
    try:
        with pytest.raises(WrongSchema, match="999_future"):
            await migrate(db)
    finally:
        await db.execute("ALTER TABLE rev._migrations DELETE WHERE number = 999 SETTINGS mutations_sync = 2")


async def test_every_column_and_view_is_documented(db: ClickHouse) -> None:
    """docs/ledger.md names every column of rev.entries and every view that analysts can read."""
    columns = await db.execute("SELECT name FROM system.columns WHERE database = 'rev' AND table = 'entries'")
    views = await db.execute("SELECT name FROM system.tables WHERE database = 'rev' AND engine = 'View'")
    table = DOCUMENT.split("### The columns of rev.entries")[1].split("### The views")[0]
    documented = {name for line in table.splitlines() for name in re.split(r"[|,\s]+", line[1:].split("|")[0]) if name}
    assert {name for (name,) in columns} <= documented
    for (view,) in views:
        assert f"| rev.{view} |" in DOCUMENT


def test_the_document_has_every_audit() -> None:
    """Three audits look for rows that must not be there."""
    assert len([title for title, _ in QUERIES if "(there are none)" in title]) == 3


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=range(len(QUERIES)))
async def test_the_documents_queries_run_for_an_analyst(
    db: ClickHouse, analyst: ClickHouse, title: str, query: str, charged: None
) -> None:
    """Each example of docs/ledger.md answers the user analyst; the audits find nothing wrong."""
    rows = await analyst.execute(query)
    if "(there are none)" in title:
        assert rows == []
    elif "misplaced" in query:
        assert rows and all(entries == different and misplaced == "0" for _, entries, different, misplaced in rows)
    else:
        assert rows, query


async def test_an_analyst_cannot_read_the_machinery(analyst: ClickHouse, db: ClickHouse) -> None:
    """Names that begin with an underscore are closed to analysts, and nothing can be written."""
    for sql in (
        "SELECT * FROM rev._log",
        "SELECT * FROM rev._seen",
        "SELECT * FROM rev._migrations",
        "INSERT INTO rev._log (epoch) VALUES ('x')",
    ):
        with pytest.raises(Exception, match="Code: "):
            await analyst.execute(sql)
    assert await db.execute("SELECT count() FROM rev._log") == [["0"]]
