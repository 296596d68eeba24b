"""One customer of the running stack, and the admin: requests whose numbers come back as Decimal."""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.freezing import frozen


class Answer(NamedTuple):
    """``body``: money and other numbers with a point as Decimal."""

    status: int
    body: Any
    replayed: bool


class Api:
    """Requests with one token. Every status is an answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url = session, url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        async with self._session.post(self._url + path, json=body, headers={**self._headers, **headers}) as response:
            return await _answer(response)

    async def get(self, path: str) -> Answer:
        async with self._session.get(self._url + path, headers=self._headers) as response:
            return await _answer(response)

    async def register(self, task: str, expires_at: str, success: str = "4900.5", **more: Any) -> Answer:
        body = {"task_id": task, "agent_id": "a", "price_on_success": success, "expires_at": expires_at, **more}
        return await self.post("/v1/outcomes", body)

    async def resolve(self, target: str, success: bool, **more: Any) -> Answer:
        return await self.post(f"/v1/outcomes/{target}/resolve", {"success": success, **more})

    async def status(self, target: str) -> str:
        """Of an outcome; a look at it closes it when its time is over."""
        answer = await self.get(f"/v1/outcomes/{target}")
        assert answer.status == 200, answer
        return str(answer.body["status"])


class Stack:
    """The session's `rev up` and a session of requests to it."""

    def __init__(self, run: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self._run, self._session = run, session
        self.admin = Api(session, run["http"], run["admin_token"])

    async def customer(self, name: str) -> Api:
        """A new key of a customer."""
        made = await self.admin.post("/api/admin/api-keys", {"customer_id": name})
        assert made.status == 201, made
        return Api(self._session, self._run["http"], made.body["api_key"])

    async def sql(self, query: str) -> list[str]:
        """Lines of an answer to the analyst."""
        user, password = self._run["analyst"]
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        async with self._session.post(self._run["clickhouse"] + "/", data=query, headers=headers) as response:
            assert response.status == 200, await response.text()
            return (await response.text()).splitlines()

    async def closings(self, outcome_id: str) -> list[str]:
        """kind, verdict and cents of every entry that closed an outcome."""
        return await self.sql(
            "SELECT kind, verdict, toString(total_cents) FROM rev.entries"
            f" WHERE outcome_id = '{outcome_id}' AND kind IN ('charge', 'waived')"
        )

    def frozen(self, name: str) -> AbstractContextManager[None]:
        """One process of the stack does not run meanwhile."""
        found = json.loads((Path(self._run["data"]) / "run.json").read_text())
        return frozen(int(found["pids"][name]))


def ahead(seconds: float) -> str:
    """A time so many seconds from now, as requests give it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def is_past(moment: str) -> bool:
    """Whether a time of `ahead` is over."""
    return datetime.now(UTC) > datetime.fromisoformat(moment)


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    body = json.loads(await response.read(), parse_float=Decimal)
    return Answer(response.status, body, response.headers.get("Idempotent-Replayed") == "true")
