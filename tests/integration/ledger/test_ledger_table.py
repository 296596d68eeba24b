"""The ledger's table: one contract over the memory fake and the real engine, and what only the engine does."""

import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import msgspec
import pytest

from ledger.blocks import Block, LogRecord
from ledger.memory import MemoryRows, MemoryTable
from ledger.store import LedgerStore, LedgerTable
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.entries import Entry, EntryRecord, encode
from schemas.funding import Draw
from schemas.ids import event_id
from schemas.quantities import Line, QuantityRate
from warehouse.client import ClickHouse
from warehouse.errors import InsertRefused, InsertTooLarge, LedgerFenced

pytestmark = pytest.mark.integration

AT = 1_774_915_200_123
"""2026-03-31T00:00:00.123Z"""
PRICE = PriceRef(7, "completion", Rates("0.5", "0.0003", "0.25"), 12, True)
NULL = "ᴺᵁᴸᴸ"
_tokens = itertools.count()


def token() -> str:
    return f"t{next(_tokens)}"


def record(offset: int, at: int = AT, count: int = 3) -> LogRecord:
    """A record with ``count`` events, as the pricer writes it."""
    event = MeterEvent("copilot", "completion", tokens=2400)
    entries = [
        Entry("event", index=i, event=event, price=0, base="0.5", token="0.72", total="1.22") for i in range(count)
    ]
    return LogRecord(offset, at, encode(EntryRecord("acme", offset * 2, at, entries, [PRICE], api_key_id=1)))


def block(after: int, *records: LogRecord) -> Block:
    return Block(after, records)


class Tables:
    """Writers over the same rows, and what is stored."""

    def __init__(self, make: Callable[[], LedgerStore], db: ClickHouse | None, rows: MemoryRows) -> None:
        self.make = make
        self._db = db
        self._rows = rows

    async def offsets(self, partition: int) -> list[int]:
        if self._db is None:
            return sorted({offset for at, offset, _ in self._rows.rows if at == partition})
        sql = f"SELECT entries_offset FROM rev.entries WHERE raw_partition = {partition} LIMIT 1 BY 1"
        return sorted(int(row[0]) for row in await self._db.execute(sql))

    async def doubled(self, partition: int) -> int:
        """How many rows there are beyond one for each entry."""
        if self._db is None:
            stored = [offset for at, offset, _ in self._rows.rows if at == partition]
            return len(stored) - len(set(stored))
        sql = f"SELECT count() - uniqExact(event_id) FROM rev.entries WHERE raw_partition = {partition}"
        return int((await self._db.execute(sql))[0][0])


@pytest.fixture(params=["memory", "engine"])
async def tables(request: pytest.FixtureRequest, db: ClickHouse) -> AsyncIterator[Tables]:
    rows = MemoryRows(refuses=lambda value: b"spoilt" in value)
    if request.param == "memory":
        yield Tables(lambda: MemoryTable(rows), None, rows)
    else:
        yield Tables(lambda: LedgerTable(db, token), db, rows)


async def test_an_empty_partition_begins_at_nothing(tables: Tables, partition: int) -> None:
    """The maximum of a partition without rows is -1, which is not offset 0."""
    table = tables.make()
    assert await table.take_over(partition) == -1
    assert await table.write(partition, block(-1, record(0))) > 0
    assert await tables.make().take_over(partition) == 0


async def test_blocks_follow_each_other(tables: Tables, partition: int) -> None:
    """Blocks with holes between their offsets are stored once and the maximum is the last one's."""
    table = tables.make()
    await table.take_over(partition)
    await table.write(partition, block(-1, record(0), record(3)))
    await table.write(partition, block(3, record(4), record(9)))
    assert await tables.offsets(partition) == [0, 3, 4, 9]
    assert await table.take_over(partition) == 9


async def test_a_block_that_was_written_passes_nothing_again(tables: Tables, partition: int) -> None:
    """A block that is sent twice, whole or overlapping, leaves every row once."""
    table = tables.make()
    await table.take_over(partition)
    await table.write(partition, block(-1, record(0), record(1)))
    assert await table.write(partition, block(-1, record(0), record(1))) == 0
    assert await table.write(partition, block(-1, record(1), record(2))) > 0
    assert await tables.offsets(partition) == [0, 1, 2]
    assert await tables.doubled(partition) == 0


async def test_a_gap_is_never_written(tables: Tables, partition: int) -> None:
    """A block whose predecessor is not in the table is refused as out of date."""
    table = tables.make()
    await table.take_over(partition)
    with pytest.raises(LedgerFenced):
        await table.write(partition, block(4, record(5)))
    assert await tables.offsets(partition) == []


async def test_whoever_takes_over_fences_the_one_before(tables: Tables, partition: int) -> None:
    """After a take-over the old writer cannot write, and nothing of its block is stored."""
    old, new = tables.make(), tables.make()
    await old.take_over(partition)
    await old.write(partition, block(-1, record(0)))
    assert await new.take_over(partition) == 0
    with pytest.raises(LedgerFenced):
        await old.write(partition, block(0, record(1)))
    await new.write(partition, block(0, record(1)))
    assert await tables.offsets(partition) == [0, 1]


async def test_who_never_took_over_cannot_write(tables: Tables, partition: int) -> None:
    """Writing without having taken the partition over, or after letting it go, is refused."""
    table = tables.make()
    with pytest.raises(LedgerFenced):
        await table.write(partition, block(-1, record(0)))
    await table.take_over(partition)
    await table.let_go(partition)
    with pytest.raises(LedgerFenced):
        await table.write(partition, block(-1, record(0)))


async def test_a_refused_block_leaves_nothing_and_the_writer_usable(tables: Tables, partition: int) -> None:
    """Of a block with a spoilt record no row is stored; the good part can be written after it."""
    table = tables.make()
    await table.take_over(partition)
    spoilt = LogRecord(2, AT, b'{"spoilt":1}')
    with pytest.raises(InsertRefused):
        await table.write(partition, block(-1, record(0), spoilt))
    assert await tables.offsets(partition) == []
    await table.write(partition, block(-1, record(0)))
    assert await tables.offsets(partition) == [0]


async def test_what_was_seen_is_kept(tables: Tables, partition: int) -> None:
    """The furthest note counts, of those that were made when the table held no more than now."""
    table = tables.make()
    assert await table.seen(partition, 4) == 0
    for after, seen in ((-1, 2), (4, 6), (4, 9), (4, 8)):
        await table.note_seen(partition, after, seen)
    await table.note_seen(partition + 1000, 4, 100)
    assert await tables.make().seen(partition, 4) == 9
    await table.note_seen(partition, 20, 30)
    assert await tables.make().seen(partition, 20) == 30
    assert await tables.make().seen(partition, 19) <= 9


async def rows_of(db: ClickHouse, partition: int, columns: str) -> list[list[str]]:
    return await db.execute(f"SELECT {columns} FROM rev.entries WHERE raw_partition = {partition} ORDER BY event_id")


async def store_one(db: ClickHouse, partition: int, value: bytes, at: int = AT) -> None:
    table = LedgerTable(db, token)
    await table.take_over(partition)
    await table.write(partition, block(-1, LogRecord(0, at, value)))


async def test_every_column_of_a_row(db: ClickHouse, partition: int) -> None:
    """Each field of an entry is in its column, and the event id is the one of schemas.ids."""
    event = MeterEvent(
        agent_id="copilot",
        action="completion",
        tokens=10**12,
        tokens_input=10**12 - 1,
        tokens_output=1,
        outcome="pending",
        expires_at=AT + 1000,
        on_expiry="success",
        metadata=msgspec.Raw(b'{"a": 1.00}'),
        idempotency_key="key-1",
        event_time=AT - 86_400_000,
        task_id="task",
        model="m",
        provider="p",
        trace_id="trace",
        quantities={"images": "2", "audio_seconds": "12.000001"},
    )
    entry = Entry(
        "charge",
        index=1023,
        event=event,
        price=1,
        base="0.5",
        token="0.000000000001",
        bonus="0",
        quantity="8",
        total="8.500000000001",
        lines=(Line("tokens", "1", "0.000000000001", 1, "0.000000000001"), Line("images", "2", "40", 10, "8")),
        credit="3.000000000001",
        draws=(Draw(2**60, "3"), Draw(9, "0.000000000001")),
        exceeded=(11, 12),
        outcome_id="oc_5",
        expires_at=AT + 2000,
        original=77,
        body_hash="beef",
        reason="why",
        type="pricing.updated",
        actor="admin",
        detail=msgspec.Raw(b'{"b":[]}'),
        price_on_success="999999999.999999999999",
        price_on_failure="0.000000000001",
        verdict="expired",
    )
    rates = Rates("0.5", "0.0003", "0.25", (QuantityRate("images", "40", 10),), ignore_unknown=True)
    prices = [
        PriceRef(1, "*", Rates("1", "2", "3"), 1),
        PriceRef(7, "completion", rates, 12, True, model="m-1", provider="p-1"),
    ]
    value = encode(EntryRecord("acme", 2**36, AT, [entry], prices, api_key_id=5, test=True, import_id="april"))
    await store_one(db, partition, value)
    (row,) = await rows_of(db, partition, "*")
    assert row == [
        *("charge", str(event_id(partition, 2**36, 1023)), "acme", "5", "copilot", "completion"),
        *("999999999999", "1", "1000000000000", "{'images':2,'audio_seconds':12.000001}", "pending"),
        *("0.5", "0.000000000001", "0", "8", "8.500000000001"),
        "[('tokens',1,0.000000000001,1,0.000000000001),('images',2,40,10,8)]",
        *("3.000000000001", f"[({2**60},3),(9,0.000000000001)]", "[11,12]"),
        *("7", "completion", "m-1", "p-1", "0.5", "0.0003", "0.25", "[('images',40,10)]", "true", "true", "12"),
        *("m", "p", "trace", "task", "oc_5", "success"),
        *(
            "999999999.999999999999",
            "0.000000000001",
            "expired",
            "key-1",
            "beef",
            "true",
            '{"a": 1.00}',
            "2026-03-31 00:00:02.123",
            "2026-03-30 00:00:00.123",
        ),
        *("2026-03-31 00:00:00.123", "why", "77", "pricing.updated", "admin", '{"b":[]}'),
        *(str(partition), str(2**36), "1023", "0", "april"),
    ]


async def test_what_is_absent_is_the_default(db: ClickHouse, partition: int) -> None:
    """An entry without an event, a price or any optional field has empty strings, zeros and NULLs."""
    await store_one(db, partition, encode(EntryRecord("acme", 3, AT, [Entry("config")])))
    columns = "kind, agent_id, tokens, tokens_input, outcome, total_cents, price_id, price_action, price_is_default, "
    columns += "metadata, expires_at, original, detail, test, event_time = recorded_at, import_id"
    (row,) = await rows_of(db, partition, columns)
    assert row == ["config", "", "0", NULL, "", "0", "0", "", "false", "", NULL, NULL, "", "false", "1", ""]


@pytest.mark.parametrize(
    "amount",
    [
        "1000000000000",
        "-1000000000000",
        "999999999999.999999999999",
        "-999999999999.999999999999",
        "0.000000000001",
        "-0.000000000001",
        "123456789012.000000000009",
        "0.1",
        "1.47",
    ],
)
async def test_amounts_are_exact_to_the_last_digit(db: ClickHouse, partition: int, amount: str) -> None:
    """A decimal with 12 decimals up to 10^12 cents comes back as it went in."""
    await store_one(db, partition, encode(EntryRecord("acme", 3, AT, [Entry("event", total=amount, base=amount)])))
    assert await rows_of(db, partition, "total_cents, toString(base_cents)") == [[amount, amount]]


async def test_sums_of_the_largest_amounts_do_not_wrap(db: ClickHouse, partition: int) -> None:
    """A full record of the largest entries sums exactly, raw and through the hourly projection."""
    largest = "1000000000000"
    entries = [Entry("event", index=i, total=largest, base=largest) for i in range(1000)]
    customer = f"rich-{partition}"
    await store_one(db, partition, encode(EntryRecord(customer, 3, AT, entries)))
    sql = "SELECT sum(total_cents), sum(total_cents * toDecimal256(100000000000, 0)) FROM rev.entries"
    ((plain, scaled),) = await db.execute(f"{sql} WHERE customer_id = '{customer}'")
    assert plain == "1000000000000000"
    assert scaled.split(".")[0] == "1" + "0" * 26
    hourly = await db.execute(f"SELECT sum(cents) FROM rev.hourly WHERE customer_id = '{customer}'")
    assert hourly == [["1000000000000000"]]


METADATA = [
    b'{"x": 1.00}',
    b'{ "spaced" :\t[ 1,\r\n 2 ] }',
    b'{"escaped":"\\u0000\\u001f\\n\\t\\\\ \\" \\/ \\ud83d\\ude00"}',
    '{"unicode":"Grüße, 東京 🦀 \u2028"}'.encode(),
    b'{"number":12345678901234567890.123456789012345678901234567890e-5}',
    b'{"a":{"b":[{"c":null},true,false]},"a":"twice"}',
    b'{"kind":"event","entries":[{"kind":"event"}]}',
    b'{"sql":"\'); DROP TABLE rev.entries; --"}',
    b"{}",
    b'{"long":"' + b"z" * 16_000 + b'"}',
    b'{"deep":' + b"[" * 60 + b"]" * 60 + b"}",
]


async def test_metadata_survives_byte_for_byte(db: ClickHouse, partition: int) -> None:
    """The sender's JSON text is stored as it was sent: whitespace, escapes, numbers, order and all."""
    entries = [
        Entry("event", index=i, event=MeterEvent("a", "b", metadata=msgspec.Raw(text)), detail=msgspec.Raw(text))
        for i, text in enumerate(METADATA)
    ]
    await store_one(db, partition, encode(EntryRecord("acme", 3, AT, entries)))
    rows = await rows_of(db, partition, "hex(metadata), hex(detail)")
    assert [bytes.fromhex(metadata) for metadata, _ in rows] == METADATA
    assert [bytes.fromhex(detail) for _, detail in rows] == METADATA


async def test_strings_survive(db: ClickHouse, partition: int) -> None:
    """Names with quotes, backslashes, control characters and any script come back unchanged."""
    names = ["it's", 'say "hi"', "back\\slash", "tab\tnew\nline\x00\x7f", "Grüße 東京 🦀", "{x:1}", " "]
    entries = [Entry("event", index=i, event=MeterEvent(name, name, task_id=name)) for i, name in enumerate(names)]
    await store_one(db, partition, encode(EntryRecord("acme", 3, AT, entries)))
    rows = await rows_of(db, partition, "hex(agent_id), hex(action), hex(task_id)")
    assert [tuple(bytes.fromhex(cell).decode() for cell in row) for row in rows] == [(n, n, n) for n in names]


GOOD = b'{"customer_id":"a","raw_offset":1,"recorded_at":2,"entries":[{"kind":"event","base":"1","total":"1"}]}'


@pytest.mark.parametrize(
    ("what", "by"),
    [
        (b'"total":"1"', b'"total":"abc"'),
        (b'"total":"1"', b'"total":"1.5x"'),
        (b'"total":"1"', b'"total":""'),
        (b'"total":"1"', b'"total":null'),
        (b'"total":"1"', b'"total":"NaN"'),
        (b'"total":"1"', b'"total":" 1"'),
        (b'"total":"1"', b'"total":"2"'),
        (b'"total":"1"', b'"total":"99999999999999999999999999999"'),
        (b'"total":"1"', b'"totl":"1"'),
        (b'"raw_offset":1,', b""),
        (b'"recorded_at":2,', b""),
        (b'"raw_offset":1', b'"raw_offset":-1'),
        (b'"raw_offset":1', b'"raw_offset":1.5'),
        (b'"raw_offset":1', b'"raw_ofset":1'),
        (b'"customer_id":"a"', b'"customer_id":""'),
        (b'"kind":"event",', b""),
        (b'"kind":"event"', b'"kind":"evnt"'),
        (b'"kind":"event"', b'"kind":"event","price":0'),
        (b'"kind":"event"', b'"kind":"event","index":1024'),
        (b'"raw_offset":1', b'"raw_offset":137438953472'),
        (b'"kind":"event"', b'"kind":"event","price":3'),
        (b'[{"kind":"event","base":"1","total":"1"}]', b"[]"),
        (b"]}", b"]"),
        (GOOD, b""),
        (GOOD, b"{}"),
        (GOOD, b"not json"),
    ],
)
async def test_a_malformed_record_is_refused_whole(db: ClickHouse, partition: int, what: bytes, by: bytes) -> None:
    """What is not exactly an entry is an error that somebody sees, never a row of zeros."""
    assert what in GOOD
    with pytest.raises(InsertRefused):
        await store_one(db, partition, GOOD.replace(what, by))
    assert await rows_of(db, partition, "1") == []


async def test_two_months_in_one_block_are_refused(db: ClickHouse, partition: int) -> None:
    """A block that would become two parts is never written, whatever the timestamps told the builder."""
    april = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) * 1000
    table = LedgerTable(db, token)
    await table.take_over(partition)
    with pytest.raises(InsertRefused):
        await table.write(partition, block(-1, record(0), record(1, at=april)))
    assert await rows_of(db, partition, "1") == []


async def test_a_block_is_one_part(db: ClickHouse, partition: int) -> None:
    """20,000 rows in one block make one part, so that a crash cannot leave half of it."""
    table = LedgerTable(db, token)
    await table.take_over(partition)
    await db.execute("SYSTEM STOP MERGES rev.entries")
    try:
        await table.write(partition, block(-1, *(record(offset, count=100) for offset in range(200))))
        assert await rows_of(db, partition, "1") != []
        sql = f"SELECT uniqExact(_part), count() FROM rev.entries WHERE raw_partition = {partition}"
        assert await db.execute(sql) == [["1", "20000"]]
    finally:
        await db.execute("SYSTEM START MERGES rev.entries")


async def test_the_maximum_and_the_hours_come_from_projections(db: ClickHouse, partition: int) -> None:
    """Neither reading the maximum nor the hourly sums touches the rows themselves, once their parts are merged."""
    await store_one(db, partition, record(0).value)
    for name in ("watermark", "hourly"):
        await db.execute(f"ALTER TABLE rev.entries MATERIALIZE PROJECTION {name} SETTINGS mutations_sync = 2")
    watermark = f"SELECT max(entries_offset) FROM rev.entries WHERE raw_partition = {partition}"
    hourly = "SELECT action, sum(cents) FROM rev.hourly WHERE customer_id = 'acme' GROUP BY action"
    for sql, projection in ((watermark, "watermark"), (hourly, "hourly")):
        plan = "\n".join(row[0] for row in await db.execute(f"EXPLAIN {sql} SETTINGS force_optimize_projection = 1"))
        assert projection in plan


async def test_a_lack_of_memory_is_told_from_an_outage(db: ClickHouse) -> None:
    """ClickHouse's memory limit is an error of its own, upon which the writer halves its block."""
    with pytest.raises(InsertTooLarge):
        await db.execute("SELECT groupArray(number) FROM numbers(10000000)", {"max_memory_usage": 1_000_000})
