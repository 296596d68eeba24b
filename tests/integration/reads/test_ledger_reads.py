"""The named queries on the real engine, number by number against plain Python and Decimal."""

import asyncio
import itertools
from contextlib import suppress
from decimal import Context, Decimal, localcontext
from typing import Any, get_args

import pytest

from ingest.reads.params import STATUSES
from schemas.ids import address_of, event_id
from schemas.limits import DAY, HOUR
from schemas.money import PICO, parse_cents
from streams.log_ends import KafkaLogEnds
from tests.integration.reads.generated import AWKWARD, NOW, generated
from tests.unit.statements.random_ledger import made
from warehouse.errors import ReadsUnavailable
from warehouse.memory import LedgerRow, MemoryReads
from warehouse.queries import LedgerReads, find_event
from warehouse.reader import ClickHouseReader, query_text
from warehouse.rows import AuditFilter, ComponentSumRow, EventQuery, OutcomeQuery, Reached, UsageKey, UsageQuery
from warehouse.time_range import EVER, TimeRange, named

pytestmark = pytest.mark.integration

KEYS: tuple[UsageKey, ...] = get_args(UsageKey)


def ranges() -> list[TimeRange]:
    """Named periods, ranges off the hour, month boundaries, and empty ones."""
    april = 1_775_001_600_000  # 2026-04-01
    return [
        *(named(period, NOW) for period in ("24h", "7d", "30d", "90d")),
        TimeRange(april - 5 * DAY + 1, april),
        TimeRange(april, april + 7 * DAY + 1234),
        TimeRange(NOW - 50 * DAY, NOW - 50 * DAY),
        TimeRange(NOW + DAY, NOW + 2 * DAY),
        TimeRange(-(10**14), 10**14),
    ]


async def test_usage_equals_the_reference(filled: Any) -> None:
    """Every sum of every key and range, half of the filters in turn, is what plain Python makes of the same rows."""
    rows = generated(seed=1)
    filled.insert(rows)
    memory = MemoryReads(rows)
    filters: list[dict[str, Any]] = [
        {},
        {"agent": "it's"},
        {"agent": AWKWARD[4]},
        {"action": "chat"},
        {"model": "m1"},
        {"agent": "nobody"},
    ]
    for number, (time, key) in enumerate(itertools.product(ranges(), KEYS)):
        for place, given in enumerate(filters[number % 2 :: 2]):
            test = (number // 2 + place) % 2 == 1  # each filter with and without
            query = UsageQuery("acme", test, time, **given)
            real, wanted = await filled.reads.usage(query, key), await memory.usage(query, key)
            assert _comparable(real) == _comparable(wanted), (time, key, given, test)


def _comparable(rows: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (r.name, r.others, r.active, r.events, r.charges, int(r.tokens), parse_cents(r.total), parse_cents(r.charged))
        for r in rows
    ]


async def test_usage_by_component_equals_the_reference(filled: Any) -> None:
    """Of every filter and mode, by model or not; the cents of the components are the usage's."""
    rows = made(11, 500)
    filled.insert(rows)
    memory = MemoryReads(rows)
    filters: list[dict[str, Any]] = [{}, {"model": "m1"}, {"action": "chat"}, {"agent": "nobody"}]
    for given, test, by_model in itertools.product(filters, (False, True), (False, True)):
        query = UsageQuery("acme", test, EVER, **given)
        real, wanted = await filled.reads.components(query, by_model), await memory.components(query, by_model)
        assert [_component(row) for row in real] == [_component(row) for row in wanted], (given, test, by_model)
        usage = await filled.reads.usage(query, "action")
        assert sum(parse_cents(row.total) for row in real) == sum(parse_cents(row.total) for row in usage)


def _component(row: ComponentSumRow) -> tuple[Any, ...]:
    return row.component, row.model, Decimal(row.quantity), parse_cents(row.total), row.entries


async def test_names_without_a_seat_are_one_row(filled: Any) -> None:
    """Beyond the largest names the rest is one last row, so that a million agents are no million rows."""
    rows = generated(seed=5)
    filled.insert(rows)
    memory = MemoryReads(rows)
    for time, key, most in itertools.product(ranges()[2:5], KEYS, (0, 1, 2, 50)):
        query = UsageQuery("acme", False, time, top=most)
        real, whole = await filled.reads.usage(query, key), await filled.reads.usage(query._replace(top=1000), key)
        assert _comparable(real) == _comparable(await memory.usage(query, key)), (time, key, most)
        assert len(real) == len(whole) if key in ("hour", "day") else len(real) <= most + 1
        assert sum(parse_cents(row.total) for row in real) == sum(parse_cents(row.total) for row in whole)
        assert sum(row.active for row in real) == sum(row.events > 0 for row in whole)


async def test_usage_adds_up_by_hand(filled: Any) -> None:
    """Totals equal Decimal sums of the rows over months, with voids, charges and test rows told apart."""
    rows = generated(seed=2)
    filled.insert(rows)
    with localcontext(Context(prec=60)):
        for test in (False, True):
            mine = [r for r in rows if r.customer_id == "acme" and r.test is test and r.kind != "rejected"]
            found = await filled.reads.usage(UsageQuery("acme", test, EVER), "action")
            cents = sum((Decimal(r.total_cents) / PICO for r in mine), Decimal(0))
            assert sum((Decimal(r.total) for r in found), Decimal(0)) == cents
            voids = [r for r in mine if r.kind == "void" and r.config_type == ""]
            events = [r for r in mine if r.kind == "event"]
            assert sum(r.events for r in found) == len(events) - len(voids)
            assert sum(int(r.tokens) for r in found) == sum(r.tokens for r in events) - sum(r.tokens for r in voids)


async def test_sums_do_not_wrap(filled: Any) -> None:
    """Sums beyond 64 bits of tokens and 38 digits of cents are exact, from the projection and from the rows.

    The rows hold more than an entry may, so that few of them reach the widths.
    """
    filled.client.command(
        "INSERT INTO rev.entries "
        "(kind, event_id, customer_id, agent_id, action, tokens, total_cents, event_time, recorded_at) "
        f"SELECT 'event', number * 65536, 'big', 'a', 'chat', {10**14}, toDecimal128('{10**21}.000000000001', 12), "
        f"fromUnixTimestamp64Milli(toInt64({NOW} + intDiv(number, 50000) * {DAY}), 'UTC'), "
        f"fromUnixTimestamp64Milli(toInt64({NOW}), 'UTC') FROM numbers(200000)",
        settings={"max_block_size": 10_000, "min_insert_block_size_rows": 10_000},
    )
    for time in (TimeRange(NOW, NOW + 4 * DAY), TimeRange(NOW, NOW + 4 * DAY + 1)):
        (row,) = await filled.reads.usage(UsageQuery("big", False, time), "agent_id")
        assert (row.events, int(row.tokens)) == (200_000, 200_000 * 10**14)
        assert int(row.tokens) > 2**64
        assert parse_cents(row.total) == 200_000 * (10**21 * PICO + 1) > 2**127


async def test_usage_by_the_hour_uses_the_projection(filled: Any) -> None:
    """A range of whole hours without a model is answered from the ledger's hourly projection."""
    filled.insert([row for row in generated(seed=3) if row.recorded_at > NOW - 20 * DAY])
    filled.merge()
    for key in ("action", "agent_id", "hour", "day"):
        parameters = {
            "customer": "acme",
            "test": 0,
            "start": 0,
            "end": NOW,
            "agent": "",
            "action": "",
            "key": key,
            "most": 9,
        }
        assert "hourly" in filled.explain(query_text("usage_hours"), parameters), key


async def test_pending_equals_the_reference(filled: Any) -> None:
    """Pending money is that of outcomes still open: not closed, not voided, not expired."""
    rows = generated(seed=4)
    filled.insert(rows)
    memory = MemoryReads(rows)
    for time, now in itertools.product(ranges(), (NOW - 1, NOW, NOW + 1)):
        query = UsageQuery("acme", False, time)
        assert await filled.reads.pending(query, now) == await memory.pending(query, now) >= 0
    assert await memory.pending(UsageQuery("acme", False, EVER), NOW - 1) > 0


async def test_outcomes_equal_the_reference(filled: Any) -> None:
    """Lists of outcomes hold the same rows in the same order, for every status, filter and place; and each
    outcome is in the list of one status."""
    rows = generated(seed=7)
    filled.insert(rows)
    memory = MemoryReads(rows)
    everyone = await memory.outcomes(OutcomeQuery("acme", NOW, limit=1000))
    middle = everyone[len(everyone) // 2].event_id
    queries = [
        OutcomeQuery("acme", NOW, test=False, limit=7),
        OutcomeQuery("acme", NOW, test=True, status="pending"),
        OutcomeQuery("acme", NOW, at_most=middle, status="expired", limit=5),
        OutcomeQuery("acme", NOW, time=TimeRange(NOW - 50 * DAY + 1, NOW - 3 * DAY), limit=1000),
        OutcomeQuery("nobody", NOW),
        *(OutcomeQuery("acme", NOW, agent=agent, limit=1000) for agent in AWKWARD),
        *(
            OutcomeQuery("acme", now, status=status, limit=1000)
            for now in (NOW - 1, NOW, NOW + 1)
            for status in STATUSES
        ),
    ]
    for query in queries:
        real, wanted = await filled.reads.outcomes(query), await memory.outcomes(query)
        assert [canonical(row) for row in real] == [canonical(row) for row in wanted], query
    split = [await memory.outcomes(OutcomeQuery("acme", NOW, status=status, limit=1000)) for status in STATUSES]
    assert sum(map(len, split)) == len(everyone) and all(split)
    opened = [row.event_id for row in everyone]
    closings = await filled.reads.closings("acme", opened)
    assert closings == await memory.closings("acme", opened) and closings
    assert await filled.reads.closings("other", opened) == await filled.reads.closings("acme", []) == {}
    for task in sorted({row.task_id for row in memory.rows}):
        for test in (None, False, True):
            customers = await filled.reads.task_customers(task, test, 0)
            assert customers == await memory.task_customers(task, test, 0)


async def test_an_entry_of_any_kind_is_found_by_its_id(filled: Any) -> None:
    """With all that it holds, by its customer or by anyone; not by another customer."""
    rows = generated(seed=8, count=200)
    filled.insert(rows)
    memory = MemoryReads(rows)
    assert {"event", "registered", "charge", "waived", "void", "rejected"} == {row.kind for row in rows}
    for row in rows[::7]:
        real, wanted = await filled.reads.entry(row.event_id), await memory.entry(row.event_id)
        assert real is not None and canonical(real) == canonical(wanted)
        assert await filled.reads.entry(row.event_id, row.customer_id) == real
        assert await filled.reads.entry(row.event_id, "nobody") is None
    assert await filled.reads.entry(event_id(3, 10**6)) is await memory.entry(event_id(3, 10**6)) is None
    ids = [row.event_id for row in rows[::2]]
    many = {row.event_id: canonical(row) for row in await filled.reads.entries([*ids, event_id(3, 10**6)])}
    assert many == {row.event_id: canonical(row) for row in await memory.entries(ids)}
    assert await filled.reads.entries([]) == []


async def test_events_equal_the_reference(filled: Any) -> None:
    """Lists of events hold the same rows in the same order, for every filter and place."""
    rows = generated(seed=5)
    filled.insert(rows)
    memory = MemoryReads(rows)
    queries = [
        EventQuery("acme", limit=1000),
        EventQuery("acme", test=False, limit=7),
        EventQuery("acme", test=True, at_most=rows[300].event_id, limit=10),
        EventQuery("acme", outcome="pending", limit=1000),
        EventQuery("acme", idempotency_key="key-17"),
        EventQuery("acme", test=False, import_id="imp-5", limit=1000),
        EventQuery("acme", time=TimeRange(NOW - 30 * DAY + 1, NOW - 3 * HOUR), limit=1000),
        EventQuery("nobody"),
        *(EventQuery("acme", agent=agent, limit=1000) for agent in AWKWARD),
    ]
    for query in queries:
        real, wanted = await filled.reads.events(query), await memory.events(query)
        assert [canonical(row) for row in real] == [canonical(row) for row in wanted], query
    ids = [row.event_id for row in rows]
    voided = await filled.reads.voided("acme", ids)
    assert voided == await memory.voided("acme", ids) and set(voided.values()) == {"goodwill"}
    assert [await filled.reads.voided("acme", [id]) for id in voided] == [{id: "goodwill"} for id in voided]
    assert await filled.reads.voided("acme", []) == {}


def canonical(row: Any) -> dict[str, Any]:
    money = {"base", "token", "bonus", "total", "price_base", "price_token", "price_bonus"}
    fields = {field: getattr(row, field) for field in row.__struct_fields__}
    return {field: parse_cents(value) if field in money else value for field, value in fields.items()}


async def test_one_event_is_found_by_its_customer_only(filled: Any) -> None:
    """An event of a batch is found by its own id, and for its own customer only."""
    batch = [LedgerRow("event", event_id(1, 10, i), "acme", total_cents=i) for i in range(3)]
    refused = LedgerRow("rejected", event_id(1, 11, 0), "acme", reason="conflict")
    filled.insert([*batch, refused])
    found = await find_event(filled.reads, "acme", event_id(1, 10, 2), False)
    assert found is not None
    assert (found.event_id, found.kind, parse_cents(found.total)) == (event_id(1, 10, 2), "event", 2)
    late = await find_event(filled.reads, "acme", event_id(1, 11), False)
    assert late is not None
    assert (late.kind, late.reason) == ("rejected", "conflict")
    assert await find_event(filled.reads, "other", event_id(1, 10, 2), False) is None
    assert await find_event(filled.reads, "acme", event_id(1, 10, 3), False) is None


async def test_audit_pages_through_every_change_once(filled: Any) -> None:
    """Pages of configuration changes and voids are newest first, complete, and without repeats."""
    changes = [
        LedgerRow("config", event_id(2, n, n % 2), "_config", recorded_at=NOW + n // 3, config_type="pricing.updated",
                  actor="admin", detail=f'{{"id": {n}, "customer_id": "{"acme" if n % 2 else "other"}"}}')
        for n in range(25)
    ]  # fmt: skip
    changes += [
        LedgerRow("void", event_id(2, 30 + n), "acme", total_cents=-n, original=n, recorded_at=NOW + n,
                  actor="admin", config_type="charge", detail=f'{{"event_id": {n}}}')
        for n in range(3)
    ]  # fmt: skip
    filled.insert([*changes, LedgerRow("event", event_id(2, 99), "acme", recorded_at=NOW)])
    memory, before, seen = MemoryReads(changes), (EVER.end, 0), []
    while page := await filled.reads.audit(before, 7):
        assert page == await memory.audit(before, 7)
        seen += [row.event_id for row in page]
        before = (page[-1].recorded_at, page[-1].event_id)
    assert len(seen) == len(set(seen)) == 28
    for only, count in (
        (AuditFilter(about="pricing"), 25),
        (AuditFilter(without="pricing"), 3),
        (AuditFilter(about="pric"), 0),
        (AuditFilter(customer="acme"), 12),
        (AuditFilter(about="meter", actor="admin"), 3),
        (AuditFilter(actor="nobody"), 0),
    ):
        page = await filled.reads.audit((EVER.end, 0), 100, only)
        assert page == await memory.audit((EVER.end, 0), 100, only) and len(page) == count


async def test_last_use_and_reach(filled: Any) -> None:
    """Each key's last use and each partition's highest offsets are those of the rows."""
    assert await filled.reads.reached(3) == Reached(-1, -1)
    await filled.reads.ready()
    rows = generated(seed=6, count=80)
    filled.insert(rows)
    memory = MemoryReads(rows)
    assert await filled.reads.last_used([1, 2, 9]) == await memory.last_used([1, 2, 9])
    assert await filled.reads.last_used([]) == {}
    assert await filled.reads.reached(3) == await memory.reached(3) == Reached(79, 158)
    assert await filled.reads.reached(1) == Reached(-1, -1)
    assert address_of(rows[-1].event_id).offset == 79


async def test_a_query_that_fails_is_unavailable(filled: Any, clickhouse: Any) -> None:
    """A missing table, a wrong password and a dead address are one typed error, and it heals."""
    filled.client.command("RENAME TABLE rev.entries TO rev.moved")
    with pytest.raises(ReadsUnavailable):
        await filled.reads.ready()
    filled.client.command("RENAME TABLE rev.moved TO rev.entries")
    await filled.reads.ready()
    stranger = ClickHouseReader(clickhouse.url, clickhouse.user, "wrong")
    with pytest.raises(ReadsUnavailable):
        await LedgerReads(stranger, KafkaLogEnds("")).ready()
    await stranger.close()


async def test_a_dropped_connection_is_not_noticed(filled: Any, clickhouse: Any) -> None:
    """When a kept connection turns out to be closed the query is sent again; without a server
    it is unavailable."""
    host, port = clickhouse.url.removeprefix("http://").split(":")
    async with Wire(host, int(port)) as wire:
        engine = ClickHouseReader(wire.url, clickhouse.user, clickhouse.password)
        reads = LedgerReads(engine, KafkaLogEnds(""))
        await reads.ready()
        wire.cut()
        await reads.ready()
        await wire.stop()
        with pytest.raises(ReadsUnavailable):
            await reads.ready()
        await reads.close()


class Wire:
    """A TCP relay to the engine that can be cut."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.pipes: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Wire":
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        self.pipes |= {writer, back}
        self.tasks |= {asyncio.create_task(self.relay(reader, back)), asyncio.create_task(self.relay(there, writer))}

    async def relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    def cut(self) -> None:
        """Close every connection that is open."""
        for pipe in self.pipes:
            pipe.transport.abort()
        self.pipes.clear()

    async def stop(self) -> None:
        """Close everything; new connections are refused."""
        self.server.close()
        self.cut()
        await asyncio.gather(*self.tasks)
