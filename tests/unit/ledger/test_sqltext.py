"""Migrations and statements as package data."""

import re

import msgspec

from schemas.commands import MeterEvent, PriceRef
from schemas.entries import Entry, EntryRecord
from warehouse.columns import insert_sql, stage_sql
from warehouse.sqltext import migrations, statements


def test_statements_end_at_a_semicolon_at_the_end_of_a_line() -> None:
    """Comments go, semicolons inside a line stay."""
    assert statements("-- a; b;\nSELECT ';' AS x;\n\nSELECT 2;\n") == ("SELECT ';' AS x", "SELECT 2")


def test_migrations_are_numbered_without_a_hole_and_bear_repetition() -> None:
    """Every statement can be applied twice, since ClickHouse may be cut off in the middle of a migration."""
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    repeatable = ("CREATE TABLE IF NOT EXISTS", "CREATE OR REPLACE VIEW", "ALTER TABLE", "CREATE VIEW IF NOT EXISTS")
    for migration in found:
        for statement in migration.statements:
            assert statement.startswith(repeatable), statement[:60]
            again = ("IF NOT EXISTS", "IF EXISTS", "COMMENT COLUMN", "MODIFY SETTING", "MATERIALIZE PROJECTION")
            assert not statement.startswith("ALTER") or any(words in statement for words in again)


def test_the_stage_has_every_field_of_the_entry_record() -> None:
    """A field that is added to or renamed in schemas.entries must be added to or renamed in the stage."""
    words = set(stage_sql().replace("(", " ").replace(")", " ").replace(",", " ").split())
    for struct in (EntryRecord, Entry, MeterEvent, PriceRef):
        for field in msgspec.structs.fields(struct):
            assert field.encode_name in words, f"{struct.__name__}.{field.encode_name}"


def test_the_insert_names_every_column_of_the_table() -> None:
    """Once each, and what is selected for it has its name."""
    table = migrations()[0].statements[0]
    columns = [
        line.split()[0]
        for line in table.splitlines()
        if line.startswith("    ") and not line.startswith(("     ", "    INDEX", "    PROJECTION", "    (", "    )"))
    ]
    later = " ".join(statement for migration in migrations()[1:] for statement in migration.statements)
    columns += re.findall(r"ALTER TABLE rev\.entries ADD COLUMN IF NOT EXISTS (\w+)", later)
    head, _, rest = insert_sql().partition("SELECT\n")
    selected = [line.strip().rstrip(",").split(" AS ")[-1] for line in rest.split("FROM\n(", 1)[0].splitlines()]
    named = head.removeprefix("INSERT INTO rev.entries (").strip().rstrip(")").split(", ")
    assert sorted(named) == sorted(columns)
    assert named == selected
