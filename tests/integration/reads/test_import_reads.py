"""The queries of imports and of many keys on the real engine, against plain Python."""

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.ids import event_id
from schemas.money import PICO, parse_cents
from tests.integration.reads.conftest import create_statements
from tests.integration.reads.generated import AWKWARD, NOW, generated
from tests.integration.reads.test_ledger_reads import canonical
from warehouse.memory import LedgerRow, MemoryReads
from warehouse.reader import query_text
from warehouse.rows import EventRow, ImportQuery

pytestmark = pytest.mark.integration


async def test_events_are_looked_up_by_their_keys(filled: Any) -> None:
    """Those charged events of a customer and mode that have one of the keys, however long and awkward these are."""
    rows = generated(seed=9)
    long = [f"{word}{number:03}" + "☃" * 248 for number in range(1000) for word in AWKWARD[:1]]
    awkward = [
        LedgerRow("event", event_id(3, 10**6 + place), "acme", idempotency_key=key, recorded_at=NOW, event_time=NOW)
        for place, key in enumerate([*AWKWARD, long[7], long[993], "twice", "twice"])
    ]
    filled.insert([*rows, *awkward])
    memory = MemoryReads([*rows, *awkward])
    keys = [row.idempotency_key for row in rows if row.idempotency_key]
    asked = [keys, keys[:1], ["none"], AWKWARD, long, ["twice"]]
    for customer, test, some in itertools.product(("acme", "other"), (False, True), asked):
        real = await filled.reads.lookup(customer, test, some)
        wanted = await memory.lookup(customer, test, some)
        assert sorted(map(canonical, real), key=_id) == sorted(map(canonical, wanted), key=_id)
        assert {row.kind for row in real} <= {"event"}
    found = await filled.reads.lookup("acme", False, ["none", *AWKWARD, *long, "twice"])
    assert {row.event_id for row in found} == {row.event_id for row in awkward}


async def test_a_look_up_does_not_read_all_keys(filled: Any) -> None:
    """The skip indexes of the keys leave out what cannot hold one, in order or not, and those of an import too."""
    filled.client.command(
        "INSERT INTO rev.entries (kind, event_id, customer_id, idempotency_key, import_id, event_time, recorded_at) "
        "SELECT 'event', number * 65536, 'acme', if(number < 100000, concat('import/f/', toString(number)), "
        "hex(MD5(toString(number)))), if(number < 100000, 'f', ''), "
        f"fromUnixTimestamp64Milli(toInt64({NOW}), 'UTC'), fromUnixTimestamp64Milli(toInt64({NOW}), 'UTC') "
        "FROM numbers(200000)",
        settings={"max_block_size": 100_000, "min_insert_block_size_rows": 200_000},
    )
    for keys in ([f"import/f/{n}" for n in range(50_000, 50_100)], [f"import/g/{n}" for n in range(100)], ["x", "y"]):
        parameters = {"customer": "acme", "test": 0, "keys": keys}
        assert filled.granules(query_text("lookup", EventRow), parameters) <= 3, keys
    one = {
        "customer": "acme",
        "test": 0,
        "import_id": "g",
        "before_time": NOW + 1,
        "before_id": "",
        "before_customer": "",
        "limit": 1,
    }
    assert filled.granules(query_text("imports"), one) == 0
    assert filled.granules(query_text("imports"), {**one, "import_id": "f"}) <= 14


async def test_rows_of_before_imports_are_found(filled: Any) -> None:
    """Rows that were written before the column and the indexes were there have no import, and are looked up alike."""
    rows = [replace(row, import_id="") for row in generated(seed=11, count=300)]
    for what in ("INDEX by_import_id", "INDEX by_key_range", "INDEX by_key", "COLUMN import_id"):
        filled.client.command(f"ALTER TABLE rev.entries DROP {what}", settings={"mutations_sync": 2})
    filled.insert(rows, but=("import_id",))
    for statement in create_statements():
        if statement.lstrip().startswith("ALTER"):
            filled.client.command(statement)
    new = [replace(row, event_id=row.event_id + 1) for row in generated(seed=12, count=300)]
    filled.insert(new)
    memory = MemoryReads([*rows, *new])
    keys = [row.idempotency_key for row in rows if row.idempotency_key]
    real, wanted = await filled.reads.lookup("acme", False, keys), await memory.lookup("acme", False, keys)
    assert sorted(map(canonical, real), key=_id) == sorted(map(canonical, wanted), key=_id)
    imports = ImportQuery("acme", False)
    assert list(map(_import, await filled.reads.imports(imports))) == list(map(_import, await memory.imports(imports)))


async def test_imports_equal_the_reference(filled: Any) -> None:
    """Sums and order of every import of each mode, page by page, are what plain Python makes of the same rows."""
    rows = generated(seed=10)
    filled.insert(rows)
    memory = MemoryReads(rows)
    for customer, test in itertools.product(("acme", "other", "nobody", ""), (False, True)):
        whole = ImportQuery(customer, test, limit=1000)
        seen: list[Any] = []
        while page := await filled.reads.imports(query := whole._replace(limit=2, before=_after(seen, whole))):
            assert list(map(_import, page)) == list(map(_import, await memory.imports(query)))
            seen += page
        assert list(map(_import, seen)) == list(map(_import, await memory.imports(whole)))
        assert len(seen) == {"nobody": 0, "": 12}.get(customer, 6)
        for row in seen:
            same = [one for one in seen if one.import_id == row.import_id]
            assert await filled.reads.imports(whole._replace(import_id=row.import_id)) == same
    assert await filled.reads.imports(ImportQuery("acme", False, "imp")) == []
    taken = [row for row in await filled.reads.imports(ImportQuery("acme", False)) if row.voided]
    assert taken and all(parse_cents(row.taken) < 0 for row in taken)


async def test_sums_of_an_import_do_not_wrap(filled: Any) -> None:
    """Sums beyond 38 digits of cents are exact."""
    filled.client.command(
        "INSERT INTO rev.entries (kind, event_id, customer_id, import_id, total_cents, event_time, recorded_at) "
        f"SELECT 'event', number * 65536, 'big', 'i', toDecimal128('{10**21}.000000000001', 12), "
        f"fromUnixTimestamp64Milli(toInt64({NOW}), 'UTC'), fromUnixTimestamp64Milli(toInt64({NOW}), 'UTC') "
        "FROM numbers(200000)",
        settings={"max_block_size": 10_000, "min_insert_block_size_rows": 10_000},
    )
    (row,) = await filled.reads.imports(ImportQuery("big", False))
    assert (row.events, parse_cents(row.cents)) == (200_000, 200_000 * (10**21 * PICO + 1))


def _after(seen: list[Any], query: ImportQuery) -> tuple[int, str, str]:
    return (seen[-1].last, seen[-1].import_id, seen[-1].customer_id) if seen else query.before


def _import(row: Any) -> tuple[Any, ...]:
    cents = (parse_cents(row.cents), parse_cents(row.taken))
    return (row.customer_id, row.import_id, row.first, row.last, row.events, row.voided, *cents)


def _id(row: dict[str, Any]) -> int:
    return int(row["event_id"])
