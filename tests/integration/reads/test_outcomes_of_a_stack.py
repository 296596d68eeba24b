"""Outcomes of a whole `rev up`: promised, decided once, charged once, found again and taken back."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from schemas.limits import DAY
from schemas.objects import iso

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
TASK = {"agent_id": "legal", "price_on_success": 4900, "price_on_failure": "0.5", "success_criteria": {"n": 1.50}}
RESOLVES = 100


class Api:
    """JSON calls to a stack as one customer, numbers with a point as Decimal."""

    def __init__(self, session: aiohttp.ClientSession, run: dict[str, Any]) -> None:
        self.session, self.url, self.admin = session, str(run["http"]), str(run["admin_token"])
        self.key = ""

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Status and answer."""
        given = {"Authorization": f"Bearer {key or self.key}"}
        async with self.session.request(method, self.url + path, json=body, headers=given) as answer:
            return answer.status, json.loads(await answer.text(), parse_float=Decimal)

    async def act_as(self, customer: str) -> None:
        """Be this customer from now on."""
        status, made = await self.call("POST", "/api/admin/api-keys", {"customer_id": customer}, self.admin)
        assert status == 201
        self.key = str(made["api_key"])

    async def register(self, task: str, ahead: int = DAY, **more: Any) -> Any:
        """An outcome that expires ``ahead`` ms from now."""
        expires_at = iso(time.time_ns() // 1_000_000 + ahead)
        status, made = await self.call(
            "POST", "/v1/outcomes", {**TASK, "task_id": task, "expires_at": expires_at, **more}
        )
        assert status == 201, made
        return made

    async def resolve(self, target: str, success: bool) -> tuple[int, Any]:
        return await self.call("POST", f"/v1/outcomes/{quote(target, safe='')}/resolve", {"success": success})

    async def usage(self) -> Any:
        """The summary of today."""
        return (await self.call("GET", "/v1/usage?period=24h"))[1]["summary"]


@pytest.fixture
async def api(stack: dict[str, Any]) -> AsyncIterator[Api]:
    """The API of the running stack."""
    async with aiohttp.ClientSession() as session:
        yield Api(session, stack)


async def test_an_outcome_from_its_promise_to_its_void(api: Api, eventually: Eventually) -> None:
    """Answer, read, list, usage and audit tell the same at every step."""
    await api.act_as("outcomes-acme")
    opened = await api.register("a task/of ours ☃")
    assert (opened["status"], opened["price_on_failure_cents"]) == ("pending", Decimal("0.5"))

    async def pending() -> bool:
        return bool((await api.usage())["pending_cents"] == 4900)

    await eventually(pending)
    status, closed = await api.resolve("a task/of ours ☃", True)
    assert (status, closed["charge_cents"], closed["outcome_id"]) == (200, 4900, opened["outcome_id"])
    assert (await api.call("GET", f"/v1/outcomes/{opened['outcome_id']}")) == (200, closed)

    async def charged() -> bool:
        return bool((await api.usage())["charge_count"] == 1)

    await eventually(charged)
    summary = await api.usage()
    assert (summary["total_cents"], summary["pending_cents"], summary["total_events"]) == (4900, 0, 0)
    assert (await api.call("GET", "/v1/outcomes"))[1] == {"outcomes": [closed], "next_cursor": None}
    assert (await api.call("GET", "/v1/events"))[1]["events"] == []
    path = f"/api/admin/outcomes/{opened['outcome_id']}/void"
    status, void = await api.call("POST", path, {"reason": "goodwill"}, api.admin)
    assert (status, void["total_cents"]) == (201, -4900)
    assert await api.call("POST", path, {"reason": "again"}, api.admin) == (200, void)

    async def taken_back() -> bool:
        return bool((await api.usage())["charge_count"] == 0)

    await eventually(taken_back)
    assert (await api.usage())["total_cents"] == 0
    assert (await api.call("GET", "/v1/outcomes"))[1]["outcomes"] == [{**closed, "voided": True}]
    entries = (await api.call("GET", "/api/admin/audit", None, api.admin))[1]["entries"]
    (audited,) = [entry for entry in entries if entry["id"] == void["event_id"]]
    assert (audited["type"], audited["detail"]) == ("meter.voided", void)


async def test_a_voided_event_counts_no_more(api: Api, eventually: Eventually) -> None:
    """By its id, with its tokens and its price; it says so itself, and its outcome will charge nothing."""
    await api.act_as("outcomes-voids")
    body = {
        "agent_id": "a",
        "action": "email.sent",
        "tokens": 7,
        "outcome": "pending",
        "metadata": {"x": 1},
        "model": "m",
    }
    _, made = await api.call("POST", "/v1/meter", body)
    path = f"/api/admin/events/{made['event_id']}/void"

    async def voided() -> bool:
        status, answer = await api.call("POST", path, {"reason": "a mistake"}, api.admin)
        assert status in (200, 201, 503), answer
        return status != 503

    await eventually(voided)

    async def gone() -> bool:
        shown = (await api.call("GET", f"/v1/events/{made['event_id']}"))[1]
        return bool(shown["status"] == "voided")

    await eventually(gone)
    summary = await api.usage()
    assert (summary["total_cents"], summary["total_events"], summary["total_tokens"], summary["pending_cents"]) == (
        0, 0, 0, 0,
    )  # fmt: skip
    status, closed = await api.resolve(made["outcome_id"], True)
    assert (status, closed["charge_cents"], closed["voided"]) == (200, 0, True)
    status, refused = await api.call(
        "POST", f"/api/admin/outcomes/{made['outcome_id']}/void", {"reason": "x"}, api.admin
    )
    assert (status, refused["code"]) == (409, "nothing_charged")


async def test_of_many_verdicts_one_counts(api: Api, eventually: Eventually) -> None:
    """100 resolves at once, half of each kind: one verdict, one charge, all others 200 with the same or 409."""
    await api.act_as("outcomes-race")
    opened = await api.register("race")
    answers = await asyncio.gather(*(api.resolve("race", n % 2 == 0) for n in range(RESOLVES)))
    assert Counter(status for status, _ in answers) == {200: RESOLVES // 2, 409: RESOLVES // 2}
    (said,) = {json.dumps(body, default=str) for status, body in answers if status == 200}
    verdict = json.loads(said)["status"]
    assert {body["status"] for _, body in answers} == {verdict}

    async def charged() -> bool:
        return bool((await api.usage())["charge_count"] == 1)

    await eventually(charged)
    assert (await api.usage())["charge_cents"] == (4900 if verdict == "succeeded" else Decimal("0.5"))
    (listed,) = (await api.call("GET", "/v1/outcomes"))[1]["outcomes"]
    assert (listed["outcome_id"], listed["status"]) == (opened["outcome_id"], verdict)


async def test_an_outcome_expires_by_itself(api: Api, eventually: Eventually) -> None:
    """Nobody reads it: the expirer reminds, the list shows the charge of its expiry, a verdict is too late."""
    await api.act_as("outcomes-expiry")
    await api.register("soon", ahead=1500)

    async def closed() -> bool:
        (listed,) = (await api.call("GET", "/v1/outcomes?status=expired"))[1]["outcomes"] or [{"charge_cents": None}]
        return listed["charge_cents"] is not None

    await eventually(closed)
    (listed,) = (await api.call("GET", "/v1/outcomes"))[1]["outcomes"]
    assert (listed["status"], listed["success"], listed["charge_cents"]) == ("expired", False, Decimal("0.5"))
    assert listed["resolved_at"] >= listed["expires_at"]
    status, late = await api.resolve("soon", True)
    assert (status, late["code"], late["status"]) == (409, "outcome_expired", "expired")
