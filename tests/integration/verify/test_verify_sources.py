"""The real log and the real engine, read as the ones in memory are."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from tools.verify.clickhouse import ClickHouseLedger
from tools.verify.kafka import KafkaLog
from tools.verify.memory import MemoryLedger, MemoryRawLog
from tools.verify.row_values import COLUMNS, EMPTY, Row
from tools.verify.sources import CannotRun, RawRecord, Selection, Span
from warehouse.client import ClickHouse
from warehouse.migrate import migrate

pytestmark = pytest.mark.integration

T0 = 1_777_204_800_000
PARTITION = 60_001
"""Of no log, so that these rows meet no other test's."""
LARGEST = Decimal("1000000000000.000000000001")


def row(offset: int, index: int = 0, **more: Any) -> Row:
    own: Row = {
        "kind": "event", "event_id": offset << 16 | index, "customer_id": "it's \\ ünï", "agent_id": "a\tb\n",
        "action": "chat", "tokens": 10**12, "tokens_input": 10**12, "total_cents": LARGEST, "base_cents": LARGEST,
        "price_id": 5, "price_action": "*", "price_base": LARGEST, "price_offset": 1, "idempotency_key": f"k{offset}",
        "metadata": '{"q": "\\"\\u0000"}', "expires_at": T0 + 1, "event_time": T0 - 1, "recorded_at": T0 + offset,
        "original": 2**53, "raw_partition": PARTITION, "raw_offset": offset, "raw_index": index,
        "entries_offset": offset, "test": True, "detail": "{}", "actor": "me", "reason": "r",
        "price_model": "m", "price_ignore_unknown": True,
        "price_rates": (("images", LARGEST, 1000), ("it's", Decimal("0.5"), 1)),
        "quantities": (("images", Decimal("999999999999.999999")), ("it's", Decimal("0.1"))),
        "lines": (
            ("images", Decimal("2.5"), LARGEST, 1000, LARGEST), ("it's", Decimal(1), Decimal("0.5"), 1, Decimal(0)),
        ),
    }  # fmt: skip
    return {**EMPTY, **own, **more}


DETAILS = (
    '{"id":1,"base_rate_cents":0.5}',
    '{"id":2,"effective_at":"2026-12-01T00:00:00.250Z"}',
    '{"id":3,"tiers":{"input":[{"up_to":1000,"rate":0.000000000001,"per":1},{"up_to":null,"rate":250,"per":1000000}],'
    '"event":[{"up_to":null,"rate":0.5,"per":1}]},"effective_at":"2027-01-01T00:00:00.000Z"}',
)
ROWS = [
    row(1),
    row(2, customer_id="other", price_is_default=True, price_offset=0),
    row(2, 1, total_cents=-LARGEST, tokens_input=None, original=None, expires_at=None, test=False),
    row(2, 1, total_cents=-LARGEST, tokens_input=None, original=None, expires_at=None, test=False),
    row(5000, idempotency_key="", price_id=6, price_action="chat"),
    row(6000, kind="registered", on_expiry="success", price_on_success=LARGEST, price_on_failure=LARGEST),
    row(6001, kind="charge", verdict="succeeded", original=6000 << 16, idempotency_key="own"),
    row(6002, outcome="pending"),
    row(6003, kind="void", original=6001 << 16, total_cents=-LARGEST),
    row(6004, kind="void", original=2 << 16),
    *(
        row(7000 + n, kind="config", config_type="pricing.updated", customer_id="_config", price_id=0, detail=detail)
        for n, detail in enumerate(DETAILS)
    ),
    row(2**37 - 1, kind="rejected", price_id=0, price_offset=0),
]
WHOLE = Span(0, 2**37)


def _literal(column: str, value: Any) -> str:
    if value is None:
        return "NULL"
    if column in ("expires_at", "event_time", "recorded_at"):
        return f"'{datetime.fromtimestamp(value // 1000, UTC):%Y-%m-%d %H:%M:%S}.{value % 1000:03d}'"
    if column == "quantities":
        pairs = ", ".join(f"{_literal('', part)}" for pair in value for part in pair)
        return f"map({pairs})"
    if isinstance(value, tuple):
        return f"[{', '.join('(' + ', '.join(_literal('', part) for part in one) + ')' for one in value)}]"
    if isinstance(value, Decimal):
        return f"toDecimal128('{value}', 12)"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value).lower()


@pytest.fixture
async def ledgers(clickhouse: Any) -> AsyncIterator[tuple[ClickHouseLedger, MemoryLedger]]:
    """The same rows in the engine, read with the analyst's rights, and in memory."""
    headers = {"X-ClickHouse-User": clickhouse.user, "X-ClickHouse-Key": clickhouse.password}
    values = ", ".join("(" + ", ".join(_literal(c, r[c]) for c in COLUMNS) + ")" for r in ROWS)
    async with aiohttp.ClientSession() as session:

        async def do(query: str) -> None:
            async with session.post(clickhouse.url + "/", data=query.encode(), headers=headers) as answer:
                assert answer.status == 200, await answer.text()

        await do("DROP DATABASE IF EXISTS rev")
        async with ClickHouse(clickhouse.url, clickhouse.user, clickhouse.password) as client:
            await migrate(client)
        await do(f"INSERT INTO rev.entries ({', '.join(COLUMNS)}) VALUES {values}")
        yield ClickHouseLedger(session, clickhouse.url, *clickhouse.analyst), MemoryLedger(ROWS)
        await do("DROP DATABASE rev")


async def everything(rows: AsyncIterator[Any]) -> list[Any]:
    return [found async for found in rows]


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(customer="it's \\ ünï"),
        Selection(customer="other"),
        Selection(start=T0 + 2),
        Selection(end=T0 + 2),
        Selection("it's \\ ünï", T0 + 2, T0 + 5001),
    ],
)
async def test_rows_come_back_exactly(ledgers: tuple[ClickHouseLedger, MemoryLedger], selection: Selection) -> None:
    """Order, doubled rows, the largest amounts, text with anything in it, and every selection."""
    real, fake = ledgers
    for span in (WHOLE, Span(2, 5000), Span(5001, 2**37 - 1)):
        for outcomes in (False, True):
            found = await everything(real.rows(PARTITION, span, selection, outcomes))
            assert found == await everything(fake.rows(PARTITION, span, selection, outcomes))


async def test_what_voids_take_back_comes_back(ledgers: tuple[ClickHouseLedger, MemoryLedger]) -> None:
    """The row of the same customer by its id, none of another customer's and none that is not there."""
    real, fake = ledgers
    voids = [r for r in ROWS if r["kind"] == "void"]
    found = await real.originals(voids)
    assert found == await fake.originals(voids)
    assert list(found) == [6001 << 16]
    assert await real.originals([]) == {}


async def test_what_is_older_than_the_log_comes_back(ledgers: tuple[ClickHouseLedger, MemoryLedger]) -> None:
    """Reach, latest time, prices in force and old keys are those of the rows in memory."""
    real, fake = ledgers
    for first in (0, 2, 5000, 6004):
        assert await real.began(PARTITION, first) == await fake.began(PARTITION, first)
        assert await real.inherited(PARTITION, first) == await fake.inherited(PARTITION, first)
        for since in (0, T0 + 2):
            asked = (PARTITION, first, since)
            assert sorted(await everything(real.old_keys(*asked))) == sorted(await everything(fake.old_keys(*asked)))
    terms = await real.terms()
    assert terms == await fake.terms()
    assert terms.keys() == {2, 3} and terms[2].start == 1_796_083_200_250
    assert terms[3].terms.tiers[1] == (
        "input",
        ((Decimal(1000), Decimal("0.000000000001"), 1), (None, Decimal(250), 1_000_000)),
    )
    assert await real.reached(PARTITION) == await fake.reached(PARTITION) == 2**37 - 1
    assert await real.reached(PARTITION + 1) == await fake.reached(PARTITION + 1) == -1
    assert len(await real.beyond(PARTITION)) == len(await fake.beyond(PARTITION)) == len(ROWS)


async def test_an_engine_that_cannot_be_read_is_told(clickhouse: Any) -> None:
    """A wrong password and an address where nobody listens raise CannotRun."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CannotRun):
            await ClickHouseLedger(session, clickhouse.url, clickhouse.analyst[0], "wrong").reached(0)
        with pytest.raises(CannotRun):
            await ClickHouseLedger(session, "http://127.0.0.1:1", *clickhouse.analyst).reached(0)


async def test_the_log_comes_back_exactly(kafka: str) -> None:
    """Every record of every partition in order, also where retention has taken the beginning."""
    topic = "verify.raw"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await asyncio.gather(admin.start(), producer.start())
    try:
        await admin.create_topics([NewTopic(topic, 3, 1)])
        written: dict[int, list[RawRecord]] = {0: [], 1: [], 2: []}
        for number in range(50):
            partition = number % 2
            sent = await producer.send_and_wait(topic, b"v%d" % number, b"k", partition=partition)
            written[partition].append(RawRecord(sent.offset, sent.timestamp, b"k", b"v%d" % number))
        await _same(kafka, topic, MemoryRawLog(written))
        await admin.delete_records({TopicPartition(topic, 1): RecordsToDelete(before_offset=7)})
        await _same(kafka, topic, MemoryRawLog(written, {1: 7}))
    finally:
        await asyncio.gather(admin.close(), producer.stop())


async def _same(kafka: str, topic: str, fake: MemoryRawLog) -> None:
    async with KafkaLog(kafka, topic) as real:
        spans = await real.spans()
        assert spans == await fake.spans()
        for partition, span in spans.items():
            assert await everything(real.records(partition, span)) == await everything(fake.records(partition, span))


async def test_a_log_that_is_not_there_is_told(kafka: str) -> None:
    """A missing topic raises CannotRun, and so does a broker that does not answer."""
    async with KafkaLog(kafka, "verify.nothing") as log:
        with pytest.raises(CannotRun, match=r"no topic verify\.nothing"):
            await log.spans()
    with pytest.raises(CannotRun):
        async with KafkaLog("127.0.0.1:1"):
            pass
