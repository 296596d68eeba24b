"""The routes of the read side over a ledger in memory."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from msgspec.structs import replace

from ingest import metering, openapi
from ingest.auth import hash_of
from ingest.config_view import ConfigView
from ingest.context import Context
from ingest.middleware import error_middleware
from ingest.reads import handlers as reads
from schemas import config, settings
from schemas.commands import MeterEvent, PriceRef, Rates
from schemas.ids import event_id
from schemas.limits import DAY
from schemas.meter_responses import metered
from schemas.money import MAX_EVENT, PICO
from schemas.replies import Receipt
from schemas.topics import partition_of
from streams.log_ends import PartitionEnds
from warehouse.memory import LedgerRow, MemoryReads

NOW = 1_777_204_800_000  # 2026-04-26T12:00:00Z
SETTINGS = settings.read({"REV_ADMIN_TOKEN": "sesame"})
HOME = partition_of(b"acme", SETTINGS.partitions)
KEYS = [("acme", False), ("other", False), ("acme", True), ("*", False), ("lab", False)]


class Shards:
    """How far the pricers said they are."""

    ready = True

    def __init__(self) -> None:
        self.positions: dict[int, int] = {}


class Fresh:
    """A view that has just been confirmed."""

    def confirmed_age(self) -> float:
        return 0.0


class Gateway:
    """A client of the read routes, and what they stand on."""

    def __init__(self) -> None:
        self.ledger = MemoryReads()
        self.shards = Shards()
        view = ConfigView()
        for id, (customer, test) in enumerate(KEYS, 1):
            key = config.ApiKey(id, customer, hash_of(f"rg_{id}"), "rg_…", NOW, test=test)
            view.apply(config.key_key(id), config.encode(key), id)
        view.apply(config.customer_key("lab"), config.encode(config.Customer("lab", NOW, test=True)), 9)
        unused = cast(Any, None)
        self.context = Context(
            SETTINGS, unused, cast(Any, self.shards), view, cast(Any, Fresh()), unused, unused,
            clock=lambda: NOW, token=unused, random_bytes=unused, clickhouse=self.ledger,
        )  # fmt: skip
        self.client: TestClient[Any, Any]

    async def get(self, path: str, key: str = "rg_1") -> tuple[int, Any]:
        """Status and JSON (numbers as Decimal) of a GET."""
        async with self.client.get(path, headers={"Authorization": f"Bearer {key}"}) as response:
            return response.status, json.loads(await response.text(), parse_float=Decimal)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """The read routes in an application of their own."""
    made = Gateway()
    app = web.Application(middlewares=[error_middleware])
    app.add_routes([row.definition() for row in reads.routes(made.context)])
    made.client = TestClient(TestServer(app))
    async with made.client:
        yield made


def event(offset: int = 5, index: int = 0, **changes: Any) -> LedgerRow:
    """A priced event of acme's shard."""
    row = LedgerRow(
        "event", event_id(HOME, offset, index), "acme", 1, "copilot", "completion",
        tokens=2400, outcome="success", base_cents=PICO // 2, token_cents=72 * PICO // 100, bonus_cents=PICO // 4,
        total_cents=147 * PICO // 100, price_id=2, price_action="completion", price_base=PICO // 2,
        price_token=3 * PICO // 10_000, price_bonus=PICO // 4, price_is_default=True, price_offset=1,
        event_time=NOW - 1000, recorded_at=NOW, metadata='{"x": 1.00}', model="m1", entries_offset=offset,
    )  # fmt: skip
    return replace(row, **changes)


async def test_an_event_is_shown_as_it_was_answered(gateway: Gateway) -> None:
    """GET of an event holds every field of the POST's answer, byte for byte, and what came with it."""
    gateway.ledger.rows = [event()]
    async with gateway.client.get(
        f"/v1/events/{event().event_id}", headers={"Authorization": "Bearer rg_1"}
    ) as response:
        text = await response.text()
    assert response.status == 200, text
    price = PriceRef(2, "completion", Rates("0.5", "0.0003", "0.25"), 1, is_default=True)
    receipt = Receipt(event().event_id, NOW, price, "0.5", "0.72", "0.25", "1.47")
    answered = metered("acme", MeterEvent("copilot", "completion", 2400, outcome="success"), receipt)
    raw = dict[str, msgspec.Raw]
    for name, value in msgspec.json.decode(answered, type=raw).items():
        assert msgspec.json.decode(text, type=raw)[name] == value, name
    shown = json.loads(text)
    assert (shown["status"], shown["model"], shown["timestamp"]) == ("priced", "m1", "2026-04-26T11:59:59.000Z")
    assert '"metadata":{"x": 1.00}' in text


async def test_what_became_of_an_event(gateway: Gateway) -> None:
    """A voided event says so with its price; a rejected one has its error and no money."""
    gone = event(6, kind="rejected", total_cents=0, reason="no price for action 'x'")
    void = LedgerRow("void", event_id(HOME, 7), "acme", original=event().event_id)
    gateway.ledger.rows = [event(), gone, void]
    status, shown = await gateway.get(f"/v1/events/{event().event_id}")
    assert (status, shown["status"], shown["price"]["total_cents"]) == (200, "voided", Decimal("1.47"))
    status, shown = await gateway.get(f"/v1/events/{gone.event_id}")
    assert (status, shown["status"], shown["error"]) == (200, "rejected", "no price for action 'x'")
    assert (shown["price"], shown["price_charged"], shown["event"]["agent_id"]) == (None, None, "copilot")


async def test_an_event_on_its_way_is_accepted(gateway: Gateway) -> None:
    """A durable event is 202 until the ledger has it; what can never come is 404."""
    gateway.ledger.log[HOME] = PartitionEnds(raw=10, entries=4)
    gateway.shards.positions[HOME] = 8
    gateway.ledger.rows = [event(5, entries_offset=2)]
    status, shown = await gateway.get(f"/v1/events/{event_id(HOME, 9)}")
    assert (status, shown["status"], shown["event_id"], shown["price"]) == (202, "accepted", event_id(HOME, 9), None)
    for absent in (event_id(HOME, 10), event_id(HOME, 6), event_id(HOME, 5, 1), event_id((HOME + 1) % 4, 0)):
        assert (await gateway.get(f"/v1/events/{absent}"))[0] == 404
    assert (await gateway.get(f"/v1/events/{event().event_id}", key="rg_2"))[0] == 404


@pytest.mark.parametrize("id", ["x", "-1", "1.5", "007", "9007199254740992", "1" * 40, "%00", "٣"])
async def test_no_event_has_such_an_id(gateway: Gateway, id: str) -> None:
    """An id that no event can have is not found."""
    assert (await gateway.get(f"/v1/events/{id}"))[0] == 404


async def test_events_are_paged_newest_first(gateway: Gateway) -> None:
    """Following next_cursor gives every event once, newest first; filters and modes apply."""
    rows = [event(n // 3 + 1, n % 3, agent_id=f"a{n % 2}", test=n == 4) for n in range(10)]
    gateway.ledger.rows = [*rows, event(9, customer_id="other")]
    seen, path = [], "/v1/events?limit=4"
    while path:
        status, page = await gateway.get(path)
        assert status == 200
        seen += [shown["event_id"] for shown in page["events"]]
        path = page["next_cursor"] and f"/v1/events?limit=4&cursor={page['next_cursor']}"
    assert seen == [row.event_id for row in reversed(rows) if not row.test]
    assert len((await gateway.get("/v1/events?agent_id=a1"))[1]["events"]) == 5
    assert len((await gateway.get("/v1/events", key="rg_3"))[1]["events"]) == 1
    assert len((await gateway.get("/v1/events?customer_id=other", key="rg_4"))[1]["events"]) == 1


async def test_usage_adds_up(gateway: Gateway) -> None:
    """The summary is the sum of the rows, exact, and rounded to dollars once; largest first."""
    gateway.ledger.rows = [
        event(1, total_cents=MAX_EVENT, action="big"),
        event(2, total_cents=1),
        event(3, agent_id="b", total_cents=5 * PICO // 10, outcome="pending", price_bonus=7 * PICO),
        event(4, kind="charge", agent_id="b", action="outcome_charge", total_cents=200 * PICO, tokens=0),
        event(5, test=True),
        event(6, event_time=NOW - 40 * DAY),
    ]
    status, found = await gateway.get("/v1/usage?period=7d&group_by=day")
    assert status == 200
    assert (found["customer_id"], found["period"], found["from"], found["to"]) == (
        "acme", "7d", "2026-04-20T00:00:00.000Z", "2026-04-27T00:00:00.000Z",
    )  # fmt: skip
    assert found["summary"] == {
        "total_events": 3,
        "total_cents": Decimal("1000000000200.500000000001"),
        "total_dollars": Decimal("10000000002.01"),
        "total_tokens": 7200,
        "unique_agents": 2,
        "charge_count": 1,
        "charge_cents": 200,
        "pending_cents": 7,
        "currency": "usd",
    }
    assert [row["action"] for row in found["by_action"]] == ["big", "outcome_charge", "completion"]
    assert [row["agent_id"] for row in found["by_agent"]] == ["copilot", "b"]
    assert [(row["day"], row["event_count"]) for row in found["groups"]] == [("2026-04-26", 3)]
    (hour,) = (await gateway.get("/v1/usage?group_by=hour&agent_id=copilot"))[1]["groups"]
    assert hour["hour"] == "2026-04-26T11:00:00.000Z"
    models = (await gateway.get("/v1/usage?group_by=model"))[1]["groups"]
    assert [row["model"] for row in models] == ["m1"]


async def test_totals_are_of_one_moment(gateway: Gateway) -> None:
    """While entries come in the rows of each list still add up to the summary."""
    gateway.ledger.rows = [event(1)]
    gateway.ledger.arriving = [event(n) for n in range(2, 9)]
    found = (await gateway.get("/v1/usage?group_by=day"))[1]
    counts = [sum(row["event_count"] for row in found[name]) for name in ("by_action", "by_agent", "groups")]
    assert counts == [found["summary"]["total_events"]] * 3 and counts[0] > 1


async def test_more_agents_than_rows(gateway: Gateway) -> None:
    """Only the largest agents have rows; the others are one last row, and the rows still add up."""
    gateway.ledger.rows = [event(n, agent_id=f"a{n:04}", total_cents=n * PICO) for n in range(1, 1004)]
    found = (await gateway.get("/v1/usage?group_by=agent"))[1]
    assert found["by_agent"] == found["groups"] and len(found["by_agent"]) == 1001
    assert [row["agent_id"] for row in found["by_agent"][::999][:2]] == ["a1003", "a0004"]
    last, summary = found["by_agent"][-1], found["summary"]
    assert (last["others"], last["event_count"], last["total_cents"], "agent_id" in last) == (3, 3, 6, False)
    assert sum(row["total_cents"] for row in found["by_agent"]) == summary["total_cents"] == 1003 * 1004 // 2
    assert (summary["unique_agents"], summary["total_events"]) == (1003, 1003)


async def test_an_empty_period(gateway: Gateway) -> None:
    """A period without entries is zeros and empty lists."""
    for query in ("", "?period=24h", "?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"):
        status, found = await gateway.get(f"/v1/usage{query}")
        assert (status, found["summary"]["total_cents"], found["by_action"]) == (200, 0, [])
        assert found["summary"]["total_dollars"] == Decimal("0.00")


@pytest.mark.parametrize(
    "ends", ["from=0001-01-01T00:00:00%2B23:59", "from=2026-01-01T00:00:00Z&to=9999-12-31T23:59:59-23:59"]
)
async def test_a_time_outside_of_all_years(gateway: Gateway, ends: str) -> None:
    """A time that no year has in UTC is refused by name; the first and the last that one has are ends of a range."""
    status, found = await gateway.get(f"/v1/usage?{ends}")
    assert (status, found["error"].split()[0]) == (400, "to" if "&to" in ends else "from")
    status, found = await gateway.get("/v1/usage?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999Z")
    assert (status, found["from"], found["to"]) == (200, "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z")


async def test_whose_totals(gateway: Gateway) -> None:
    """Test entries are in the usage of a test key, or of a test customer's keys, and nowhere else."""
    gateway.ledger.rows = [event(1), event(2, test=True), event(3, test=True), event(4, customer_id="lab", test=True)]
    totals = [(await gateway.get("/v1/usage", key))[1]["summary"]["total_events"] for key in ("rg_1", "rg_3", "rg_5")]
    assert totals == [1, 2, 1]
    assert (await gateway.get("/v1/usage", "rg_4"))[0] == 400
    assert (await gateway.get("/v1/usage?customer_id=acme", "rg_4"))[1]["summary"]["total_events"] == 1
    assert (await gateway.get("/v1/usage?customer_id=other"))[0] == 403


async def test_the_audit_trail(gateway: Gateway) -> None:
    """The admin sees configuration changes, newest first, page by page."""
    gateway.ledger.rows = [
        LedgerRow("config", event_id(1, n), "_config", recorded_at=NOW + n, config_type="key.created", actor="admin",
                  detail=f'{{"id": {n}}}')
        for n in range(3)
    ]  # fmt: skip
    status, page = await gateway.get("/api/admin/audit?limit=2", key="sesame")
    assert (status, [change["detail"]["id"] for change in page["entries"]]) == (200, [2, 1])
    _, rest = await gateway.get(f"/api/admin/audit?limit=2&cursor={page['next_cursor']}", key="sesame")
    assert rest == {
        "entries": [
            {
                "id": event_id(1, 0),
                "type": "key.created",
                "actor": "admin",
                "created_at": "2026-04-26T12:00:00.000Z",
                "detail": {"id": 0},
            }
        ],
        "next_cursor": None,
    }


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/x", "/v1/usage?nonsense=1", "/api/admin/audit?limit=x"])
async def test_a_stranger_is_refused_first(gateway: Gateway, path: str) -> None:
    """Without valid credentials the answer is 401, whatever else is wrong."""
    assert (await gateway.get(path, key="rg_unknown"))[0] == 401


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/usage?perod=7d", "did you mean 'period'"),
        ("/v1/events?agent=1", "agent"),
        ("/v1/events?limit=1&limit=2", "limit"),
        ("/v1/events?outcome=won", "outcome"),
        ("/v1/events/1?x=1", "x"),
    ],
)
async def test_unknown_parameters_are_named(gateway: Gateway, path: str, named: str) -> None:
    """An unknown parameter or value is a 400 that names it."""
    status, refusal = await gateway.get(path)
    assert (status, refusal["code"]) == (400, "invalid_request")
    assert named in refusal["error"]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/1", "/v1/usage", "/api/admin/audit"])
async def test_without_the_ledger_reads_are_unavailable(gateway: Gateway, path: str) -> None:
    """When ClickHouse is away a read is 503 with Retry-After."""
    gateway.ledger.available = False
    key = "sesame" if "admin" in path else "rg_1"
    async with gateway.client.get(path, headers={"Authorization": f"Bearer {key}"}) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert (await response.json())["code"] == "reads_unavailable"


def test_the_routes_are_described() -> None:
    """/openapi.json describes every read route, its parameters and its answers."""
    context = Gateway().context
    rows = [*metering.routes(context), *reads.routes(context)]
    paths = openapi.document([row.operation for row in rows])["paths"]
    assert set(paths) > {"/v1/events", "/v1/events/{event_id}", "/v1/usage", "/api/admin/audit"}
    named = {parameter["name"] for parameter in paths["/v1/usage"]["get"]["parameters"]}
    assert named == {"customer_id", "period", "from", "to", "agent_id", "action", "model", "group_by"}
