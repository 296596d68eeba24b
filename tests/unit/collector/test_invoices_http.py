"""Invoices over HTTP: a gateway in front of a collector, from a ledger that the real pricer decided."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from collector.closer import Closer
from collector.invoice_api import InvoiceApi
from collector.worker import InvoiceWorker, NotOwner
from ingest.collector_client import CollectorClient
from schemas.limits import DAY
from schemas.money import parse_cents
from tests.unit.collector.memory_invoicing import Ids, Journal, MemoryInvoicing
from tests.unit.ingest.conftest import ADMIN, Gateway, gateway, settings
from tools.invoice_command import print_result

__all__ = ["gateway", "settings"]
BODY = {"agent_id": "a", "action": "completion", "tokens": 2400, "outcome": "success", "model": "m1"}
ALL = "/api/admin/invoices"


class World:
    """A gateway, and a collector that works when it is told to."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.journal = Journal()
        self.reads = MemoryInvoicing([])
        self.worker = InvoiceWorker(self.journal, self.reads, 0, lambda: gateway.now, Ids())  # type: ignore[arg-type]
        self.owner = False

    def begin(self) -> None:
        """The worker has read the topic."""
        self.worker._closer = self.journal.closer(self.reads, 0)
        self.owner = True

    async def step(self) -> None:
        """What the worker does by itself at this time."""
        self.gateway.settle()
        self.reads.rows = self.gateway.ledger.rows
        closer = self.worker._closer
        assert isinstance(closer, Closer)
        while await closer.step(self.gateway.now):
            pass

    async def admin(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = await self.gateway.call(method, ALL + path, body, ADMIN)
        return answer.status, answer.json


@pytest.fixture
async def world(gateway: Gateway) -> AsyncIterator[World]:
    """The collector listens, and owns nothing yet."""
    made = World(gateway)

    def owner() -> InvoiceWorker:
        if not made.owner:
            raise NotOwner
        return made.worker

    app = web.Application()
    app.add_routes(InvoiceApi(gateway.settings, owner, lambda: gateway.now).routes())
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = CollectorClient(f"http://127.0.0.1:{runner.addresses[0][1]}", ADMIN)
    object.__setattr__(gateway.context, "collector", client)
    yield made
    await client.close()
    await runner.cleanup()


async def test_a_month_becomes_invoices_that_are_paid(world: World) -> None:
    """Two months: rounding, lines that add up, a late event, a void after the close, payments."""
    gateway = world.gateway
    key, other = await gateway.make_key("acme"), await gateway.make_key("acme", test=True)
    world.begin()
    await world.step()
    for secret in (key, key, other):
        assert (await gateway.call("POST", "/v1/meter", BODY, secret)).status == 201
    _, refused = await world.admin("POST", "/run", {"month": "2026-04"})
    assert refused["error"].startswith(
        "month 2026-04 is not closed yet; its invoices are made from 2026-05-01T00:00:05"
    )
    gateway.now += 5 * DAY  # into May
    await world.step()
    status, page = await world.admin("GET", "?month=2026-04")
    assert (status, len(page["invoices"])) == (200, 1)
    (april,) = page["invoices"]
    assert (april["number"], april["state"], april["entries"]) == ("INV-000001", "final", 2)
    assert (april["lines_cents"], april["total_cents"], april["carried_out_cents"]) == (
        Decimal("2.94"),
        3,
        Decimal("-0.06"),
    )
    assert (await gateway.call("GET", "/v1/invoices", key=key)).json == page
    assert (await gateway.call("GET", "/v1/invoices", key=other)).json["invoices"] == []
    shown = (await gateway.call("GET", "/v1/invoices/INV-000001", key=key)).json
    assert sum(line["amount_cents"] for line in shown["lines"]) == april["lines_cents"]
    assert (await gateway.call("GET", "/v1/invoices/INV-000001", key=other)).status == 404
    # after the close: a late event of April, and a void
    assert (await gateway.call("POST", "/v1/meter", {**BODY, "timestamp": "2026-04-30T23:00:00Z"}, key)).status == 201
    first = next(row.event_id for row in gateway.ledger.rows if row.kind == "event" and not row.test)
    assert (await gateway.call("POST", f"/api/admin/events/{first}/void", {"reason": "x"}, ADMIN)).status == 201
    gateway.now += 31 * DAY
    await world.step()
    _, page = await world.admin("GET", "?customer_id=acme")
    may, april = page["invoices"]
    assert (may["number"], may["carried_in_cents"], may["lines_cents"], may["total_cents"]) == (
        "INV-000002", Decimal("-0.53"), Decimal("1.47"), 1,
    )  # fmt: skip
    assert (april["credited_cents"], april["balance_cents"]) == (1, 2)
    _, shown = await world.admin("GET", "/INV-000002")
    assert {line["late"] for line in shown["lines"]} == {True}
    assert sum(line["amount_cents"] for line in shown["lines"]) == may["lines_cents"]
    _, shown = await world.admin("GET", "/INV-000001")
    (note,) = shown["credit_notes"]
    assert (note["number"], note["invoice"], note["voided_cents"], note["total_cents"]) == (
        "CN-000001", "INV-000001", Decimal("1.47"), 1,
    )  # fmt: skip
    # the lines of April's invoice are what they were
    assert sum(line["amount_cents"] for line in shown["lines"]) == april["lines_cents"]
    total = sum(row.total_cents for row in gateway.ledger.rows if not row.test)
    exact = Decimal(3 + 1 - 1) + may["carried_out_cents"]
    assert exact == Decimal(total).scaleb(-12)
    pay = {"reference": "wire 1", "amount_cents": 2}
    for _ in range(2):
        status, paid = await world.admin("POST", "/INV-000001/payments", pay)
        assert (status, paid["state"], paid["balance_cents"], len(paid["payments"])) == (200, "paid", 0, 1)
    assert (await world.admin("POST", "/INV-000002/uncollectible"))[1]["state"] == "uncollectible"
    assert (await world.admin("POST", "/INV-000002/void"))[1]["state"] == "void"
    status, refused = await world.admin("POST", "/INV-000001/void")
    assert (status, refused["error"]) == (409, "invoice INV-000001 is paid; only a final one can become void")
    # a new owner knows all of it
    world.begin()
    assert (await world.admin("GET", "?state=void"))[1]["invoices"][0]["number"] == "INV-000002"
    assert (await world.admin("GET", "?state=paid"))[1]["invoices"][0]["number"] == "INV-000001"
    assert parse_cents(world.worker.book.accounts["acme"].carried) == Decimal(may["carried_out_cents"]).scaleb(12)


async def test_lists_have_pages(world: World) -> None:
    for name in ("a", "b", "c"):
        key = await world.gateway.make_key(name)
        assert (await world.gateway.call("POST", "/v1/meter", BODY, key)).status == 201
    world.begin()
    await world.step()
    world.gateway.now += 5 * DAY
    await world.step()
    _, page = await world.admin("GET", "?limit=2")
    assert [one["customer_id"] for one in page["invoices"]] == ["c", "b"]
    _, rest = await world.admin("GET", f"?limit=2&cursor={page['next_cursor']}")
    assert ([one["customer_id"] for one in rest["invoices"]], rest["next_cursor"]) == (["a"], None)
    _, run = await world.admin("POST", "/run", {"month": "2026-04", "dry_run": True})
    assert (run["count"], run["total_cents"], len(run["largest"])) == (3, 3, 3)


def test_the_command_says_what_was_rounded(capsys: pytest.CaptureFixture[str]) -> None:
    """That is the lines, less what prepaid credit paid of them, and what was carried in."""
    exact = {"lines_cents": Decimal("10.5"), "credits_cents": Decimal("3.25"), "carried_in_cents": Decimal("-0.25")}
    one = {"number": "INV-000001", "total_cents": 7, "customer_id": "acme", **exact}
    print_result({"month": "2026-04", "dry_run": False, "count": 1, "total_cents": 7, "largest": [one]})
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["INV-000001", "7", "cents", "(7.00", "exact)", "acme"]
    assert shown[1] == "2026-04: there are 1 invoices of 7 cents in all"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/run", {}, 400, "month is required, such as 2026-11"),
        ("POST", "/run", {"month": "2026-13"}, 400, "month must be a month from 2000-01 to 2099-12, such as 2026-11"),
        ("POST", "/run", {"month": "2026-04"}, 409, "month 2026-04 is not closed yet; its invoices are made from"),
        ("GET", "/INV-000009", None, 404, "there is no invoice 'INV-000009'"),
        ("GET", "/9", None, 404, "there is no invoice '9'"),
        ("GET", "?state=open", None, 400, "state must be one of draft, final, paid, void, uncollectible, not 'open'"),
        ("GET", "?cursor=x", None, 400, "cursor must be a next_cursor that this list returned"),
        ("GET", "?limit=0", None, 400, "limit must be an integer from 1 to 1000"),
        ("POST", "/INV-000009/payments", {"amount_cents": 1}, 400, "reference is required: what names the payment"),
        ("POST", "/INV-000009/payments", {"reference": "x"}, 400, "amount_cents is required"),
        ("POST", "/INV-000009/payments", {"reference": "x", "amount_cents": 0}, 400, "amount_cents must be an integer"),
        ("POST", "/INV-000009/payments", {"reference": "x", "amount_cents": 1}, 404, "there is no invoice"),
    ],
)
async def test_a_bad_request_names_its_field(
    world: World, method: str, path: str, body: Any, status: int, error: str
) -> None:
    world.begin()
    await world.step()
    found, answer = await world.admin(method, path, body)
    assert found == status and answer["error"].startswith(error), answer
    assert list(world.journal.held) == [b"issuer"]


async def test_without_an_owner_a_gateway_says_so(world: World) -> None:
    status, answer = await world.admin("GET", "")
    assert (status, answer["code"]) == (503, "invoices_unavailable")
    object.__setattr__(world.gateway.context, "collector", None)
    assert (await world.admin("GET", ""))[1]["error"] == "this gateway has no collector; set REV_COLLECTOR_URL"
    assert (await world.gateway.call("GET", ALL)).status == 401


async def test_the_collector_asks_for_the_admin_token(world: World) -> None:
    client = CollectorClient(world.gateway.context.collector._url, "wrong")  # type: ignore[union-attr]
    with pytest.raises(Exception, match="the admin token is required"):
        await client.call("GET", "/invoices")
    await client.close()


async def test_a_customer_with_weeks_of_its_own(world: World) -> None:
    """Its billing says so, and its invoices have their time zone and are listed under the month in which they begin."""
    gateway = world.gateway
    key = await gateway.make_key("acme")
    world.begin()
    await world.step()
    path = "/api/admin/customers/acme/billing"
    first = (await gateway.call("GET", path, None, ADMIN)).json
    assert (first["billing_interval"], first["billing_anchor"], first["time_zone"]) == ("month", 1, "UTC")
    assert first["invoice_threshold_cents"] is None
    own = {"billing_interval": "week", "billing_anchor": 1, "time_zone": "Asia/Tokyo", "invoice_threshold_cents": 500}
    answer = await gateway.call("PUT", path, own, ADMIN)
    assert answer.status == 200 and own.items() <= answer.json.items()
    assert (await gateway.call("GET", path, None, ADMIN)).json == answer.json
    assert (await gateway.call("POST", "/v1/meter", BODY, key)).status == 201
    gateway.now += 8 * DAY
    await world.step()
    (one,) = (await world.admin("GET", ""))[1]["invoices"]
    assert (one["time_zone"], one["entries"], one["number"], one["month"]) == ("Asia/Tokyo", 1, "INV-000001", "2026-04")
    assert one["to"].endswith("T15:00:00.000Z") and one["from"] == "2026-04-01T00:00:00.000Z"
    assert (await world.admin("GET", "?month=2026-04"))[1]["invoices"] == [one]
    assert (await world.admin("GET", "?month=2026-05"))[1]["invoices"] == []
    page = (await world.admin("GET", "?limit=1"))[1]
    assert page["next_cursor"] is None
    shown = (await gateway.call("GET", "/v1/invoices/INV-000001", key=key)).json
    assert sum(line["amount_cents"] for line in shown["lines"]) == one["lines_cents"]
    for format in ("pdf", "csv"):
        assert (await gateway.call("GET", f"/v1/invoices/INV-000001?format={format}", key=key)).status == 200
    # what is set again to the default ends the week as planned, and months follow
    await gateway.call("PUT", path, {}, ADMIN)
    cycle = world.worker.book.cycles["acme"]
    assert cycle.number >= 1 and cycle.end > gateway.now
