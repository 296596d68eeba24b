"""`rev web` on a port of this process, before reads that a test fills."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from schemas.money import format_cents, parse_cents
from schemas.price_match import PriceSlot
from schemas.settings import Settings, read
from tests.unit.web.activity import FakeActivity
from warehouse.account_rows import CustomerQuery, CustomerRow, GrantRow
from warehouse.dashboard_rows import (
    CountsRow,
    OutcomeCountRow,
    PendingRow,
    RankedRow,
    RankKey,
    RunRateRow,
    SeriesQuery,
    SeriesRow,
    SignupsRow,
    TotalsRow,
    VerdictsRow,
)
from warehouse.errors import ReadsUnavailable
from warehouse.memory import MemoryReads
from warehouse.replay import MonthUnitsRow, RegisteredRow, Replayed, ReplayQuery
from warehouse.rows import EventRow
from warehouse.saved_scenarios import ScenarioRow
from warehouse.time_range import LAST, TimeRange
from warehouse.webhook_health import HealthRow
from web.application import application
from web.attempt_limits import LOGINS, SIGNUPS, AttemptLimits
from web.data import live_api
from web.default_prices import DefaultPrices
from web.demo_agent import DemoAgent
from web.documents import Documents
from web.gateway_api import GatewayApi
from web.live_feed import LiveFeed
from web.pages.live_page import drawn
from web.service_probes import Metrics, Probed, ServiceAddress, ServiceProbes
from web.session_cookie import SessionSigner
from web.site import WebSite
from web.static_files import StaticFiles
from web.templating import Templates
from web.web_refusals import Refusal, away

ADMIN = "the-admin-token"
NOW = 1_777_204_800_000
"""2026-04-26T12:00:00.000Z"""
EVENT = EventRow(
    kind="event",
    event_id=42,
    customer_id="acme-corp",
    agent_id="agent-copilot",
    action="completion",
    tokens=2400,
    tokens_input=None,
    tokens_output=None,
    quantities={},
    outcome="success",
    base="0.5",
    token="0.72",
    bonus="0.25",
    quantity="0",
    total="1.47",
    lines=[],
    credit=None,
    budgets_exceeded=[],
    price_id=2,
    price_action="completion",
    price_model="",
    price_provider="",
    price_base="0.5",
    price_token="0.0003",
    price_bonus="0.25",
    price_rates=[],
    price_ignore_unknown=False,
    price_is_default=True,
    price_offset=0,
    outcome_id="",
    idempotency_key="",
    metadata='{"n": 1.00}',
    test=False,
    expires_at=None,
    event_time=NOW,
    recorded_at=NOW,
    reason="",
    import_id="",
    model="",
    provider="",
    trace_id="",
    task_id="",
)


DOCUMENTS = Documents()
"""Rendered once for all tests."""


def summed(customer: str, agent: str, rows: list[EventRow]) -> RunRateRow:
    """The sums of events of one minute."""
    total = format_cents(sum(parse_cents(row.total) for row in rows))
    failed = sum(row.outcome == "failure" for row in rows)
    return RunRateRow(
        customer=customer,
        agent=agent,
        events=len(rows),
        failed=failed,
        ended=failed + sum(row.outcome == "success" for row in rows),
        total=total,
        minutes=1,
        most_events=len(rows),
        most=total,
    )


class FakeDashboard:
    """DashboardReads over rows that a test sets. ``asked`` keeps the ranges of totals, ``series_asked`` the queries."""

    def __init__(self) -> None:
        self.available = True
        self.total = TotalsRow(events=12, charges=1, tokens="2400", total="123.455", agents=2)
        self.rankings: dict[RankKey, list[RankedRow]] = {"agent_id": [], "customer_id": [], "action": []}
        self.buckets: list[SeriesRow] = []
        self.events: list[EventRow] = []
        self.named: dict[str, str] = {}
        self.signed_up: list[SignupsRow] = []
        self.by_status: list[OutcomeCountRow] = []
        self.asked: list[TimeRange] = []
        self.series_asked: list[SeriesQuery] = []
        self.hour_before: list[RunRateRow] = []

    async def totals(self, time: TimeRange) -> TotalsRow:
        await self.ready()
        self.asked.append(time)
        return self.total

    async def ranked(self, time: TimeRange, key: RankKey, most: int) -> list[RankedRow]:
        await self.ready()
        return self.rankings[key]

    async def series(self, query: SeriesQuery) -> list[SeriesRow]:
        await self.ready()
        self.series_asked.append(query)
        return self.buckets

    async def recent(self, since: int, limit: int) -> list[EventRow]:
        await self.ready()
        return [row for row in self.events if row.recorded_at >= since][:limit]

    async def run_rates(self, accepted: TimeRange, limit: int) -> list[RunRateRow]:
        await self.ready()
        if accepted.end < LAST:
            return self.hour_before
        rows = [row for row in self.events if row.recorded_at >= accepted.start]
        agents = dict.fromkeys((row.customer_id, row.agent_id) for row in rows)
        return [summed("", "", rows)] * bool(rows) + [
            summed(*key, [row for row in rows if (row.customer_id, row.agent_id) == key]) for key in agents
        ]

    async def verdicts(self, time: TimeRange) -> VerdictsRow:
        return VerdictsRow(9, 1, 0)

    async def pending(self, now: int) -> PendingRow:
        return PendingRow(2, "9800")

    async def outcomes(self, time: TimeRange, now: int) -> list[OutcomeCountRow]:
        return self.by_status

    async def signups(self, time: TimeRange) -> list[SignupsRow]:
        return self.signed_up

    async def counts(self) -> CountsRow:
        return CountsRow(8, 12)

    async def names(self, customers: Collection[str]) -> dict[str, str]:
        return {id: name for id, name in self.named.items() if id in customers}

    async def ready(self) -> None:
        if not self.available:
            raise ReadsUnavailable("dashboard_totals")

    async def close(self) -> None:
        self.available = False


class FakeAccounts:
    """AccountReads over rows that a test sets. ``asked`` keeps the queries."""

    def __init__(self) -> None:
        self.listed: list[CustomerRow] = []
        self.last: dict[str, int] = {}
        self.granted: list[GrantRow] = []
        self.asked: list[CustomerQuery | tuple[str, bool]] = []

    async def customers(self, query: CustomerQuery) -> list[CustomerRow]:
        self.asked.append(query)
        return self.listed

    async def last_events(self, customers: Collection[str]) -> dict[str, int]:
        return {id: at for id, at in self.last.items() if id in customers}

    async def grants(self, customer: str, test: bool, limit: int) -> list[GrantRow]:
        self.asked.append((customer, test))
        return self.granted[:limit]

    async def close(self) -> None:
        self.listed = []


class FakeGateway(GatewayApi):
    """The gateway's API: its price list is away until a test sets its pages; a POST makes a key, or is refused with
    ``refusal``. ``asked`` keeps the calls."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", ADMIN)
        self.pages: list[list[dict[str, Any]]] = []
        self.refusal: Refusal | None = None
        self.asked: list[tuple[str, str, Any]] = []

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        if path == "/api/admin/unpriced":
            return {"actions": 0, "events": 0, "unpriced": []}
        self.asked.append((method, path, body))
        if method == "POST":
            if self.refusal is not None:
                raise self.refusal
            return {"customer_id": body["customer_id"], "api_key": f"rg_{len(self.asked):040x}"}
        if not self.pages:
            raise away("the API does not answer")
        _, found, cursor = path.partition("&cursor=")
        number = int(cursor) if found else 0
        more = number + 1 < len(self.pages)
        return {"configs": self.pages[number], "next_cursor": str(number + 1) if more else None}

    async def close(self) -> None:
        self.pages = []


class FakeReplay:
    """ReplayReads over rows that a test sets. ``asked`` keeps the queries."""

    def __init__(self) -> None:
        self.found = Replayed([], RegisteredRow(0, "0"))
        self.asked: list[ReplayQuery] = []
        self.months: list[MonthUnitsRow] = []
        self.months_asked: list[tuple[PriceSlot, list[PriceSlot], TimeRange]] = []
        self.error: Exception | None = None

    async def replay(self, query: ReplayQuery) -> Replayed:
        self.asked.append(query)
        if self.error is not None:
            raise self.error
        return self.found

    async def month_units(self, slot: PriceSlot, in_force: Sequence[PriceSlot], time: TimeRange) -> list[MonthUnitsRow]:
        self.months_asked.append((slot, list(in_force), time))
        if self.error is not None:
            raise self.error
        return self.months

    async def close(self) -> None:
        self.error = ReadsUnavailable("replay")


class FakeScenarios:
    """Scenarios in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, ScenarioRow] = {}

    async def all(self) -> list[ScenarioRow]:
        return sorted(self.rows.values(), key=lambda row: -row.saved_at)

    async def save(self, row: ScenarioRow, deleted: bool = False) -> None:
        self.rows = {name: one for name, one in self.rows.items() if name != row.name}
        if not deleted:
            self.rows[row.name] = row

    async def close(self) -> None:
        self.rows = {}


class FakeWebhooks:
    """WebhookHealthReads over rows that a test sets."""

    def __init__(self) -> None:
        self.rows: dict[int, HealthRow] = {}

    async def health(self, webhooks: Collection[int], since: int) -> dict[int, HealthRow]:
        return {id: row for id, row in self.rows.items() if id in webhooks}

    async def close(self) -> None:
        self.rows = {}


class Turnstile:
    """Lets the live feed poll once for each turn that a test gives."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._turns = asyncio.Semaphore(0)

    async def wait(self) -> None:
        self.reached.set()
        await self._turns.acquire()

    def turn(self) -> None:
        self._turns.release()


class FakeProbes(ServiceProbes):
    """What each service says, as a test sets it; away until then."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, tuple[bool, list[str], Metrics]] = {}

    async def probe(self, instances: list[ServiceAddress]) -> list[Probed]:
        away: tuple[None, list[str], Metrics] = (None, ["refused"], {})
        return [Probed(one, *self.says.get(one.service, away)) for one in instances]


class Server:
    """A running `rev web` and a browser without cookies of its own."""

    def __init__(self, env: dict[str, str]) -> None:
        self.settings: Settings = read({"REV_ADMIN_TOKEN": ADMIN, **env})
        self.now = NOW
        self.monotonic = 1000.0
        self.reads = FakeDashboard()
        self.ledger = MemoryReads()
        self.calls = Turnstile()
        self.accounts = FakeAccounts()
        self.activity = FakeActivity()
        self.replay = FakeReplay()
        self.scenarios = FakeScenarios()
        self.webhooks = FakeWebhooks()
        self.probes = FakeProbes()
        self.polls = Turnstile()
        self._tokens = 0
        files = StaticFiles()
        templates = Templates(files)
        self.feed = LiveFeed(self.reads, partial(drawn, templates), lambda: self.now, self.polls.wait)
        self.events = LiveFeed(self.reads, live_api.drawn, lambda: self.now, self.polls.wait)
        self.signer = SessionSigner(b"key", lambda: self.now, self._token)
        self.gateway = FakeGateway()
        self.demo = DemoAgent(self.gateway, Random(1), lambda: self.now, lambda: self.monotonic, self.calls.wait)
        real = GatewayApi(self.settings.gateway_url, ADMIN)
        self.site = WebSite(
            settings=self.settings,
            reads=self.reads,
            ledger=self.ledger,
            accounts=self.accounts,
            activity=self.activity,
            api=real if "REV_GATEWAY_URL" in env else self.gateway,
            prices=DefaultPrices(self.gateway, lambda: self.now),
            replay=self.replay,
            scenarios=self.scenarios,
            webhooks=self.webhooks,
            feed=self.feed,
            events=self.events,
            demo=self.demo,
            demo_stats={},
            probes=self.probes,
            observations={},
            signer=self.signer,
            limits=AttemptLimits(LOGINS, lambda: self.monotonic),
            portal_limits=AttemptLimits(LOGINS, lambda: self.monotonic),
            signups=AttemptLimits(SIGNUPS, lambda: self.monotonic),
            files=files,
            templates=templates,
            documents=DOCUMENTS,
            clock=lambda: self.now,
        )
        self.url = ""
        self.session: aiohttp.ClientSession | None = None

    def _token(self, size: int) -> str:
        self._tokens += 1
        return f"{self._tokens:0{2 * size}x}"

    async def get(self, path: str, **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text of a GET."""
        return await self.send("GET", path, None, **headers)

    async def send(self, method: str, path: str, form: dict[str, str] | None, **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text of a request; redirects are not followed."""
        assert self.session is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url + path, data=form, headers=sent, allow_redirects=False
        ) as response:
            return response.status, response.headers, await response.text()

    async def submit(self, path: str, **fields: str) -> tuple[int, Any, str]:
        """Status, headers and text of a form that a signed-in owner sends."""
        session, cookie = self.signer.begin()
        form = {"form_token": self.signer.form_token(session.id), **fields}
        return await self.send("POST", path, form, Cookie=f"rev_session={cookie}")

    def signed_in(self) -> dict[str, str]:
        """The Cookie header of a new session."""
        return {"Cookie": f"rev_session={self.signer.begin()[1]}"}


@pytest.fixture
async def serving() -> AsyncIterator[Callable[..., Any]]:
    """``await serving(REV_…="…")`` starts a server with these settings."""
    runners, sessions, apis = [], [], []

    async def start(**env: str) -> Server:
        server = Server(env)
        runner = web.AppRunner(application(server.site), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        server.session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        runners.append(runner)
        apis.append(server.site.api)
        sessions.append(server.session)
        return server

    yield start
    for session in sessions:
        await session.close()
    for runner in runners:
        await runner.cleanup()
    for api in apis:
        await api.close()


@pytest.fixture
async def server(serving: Callable[..., Any]) -> Server:
    """A server with the default settings."""
    made: Server = await serving()
    return made


def event(**changes: Any) -> EventRow:
    """A priced event of acme-corp with some fields changed."""
    return replace(EVENT, **changes)
