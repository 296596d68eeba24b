"""What the tests of the contract share: an HTTP client of the running gateway, and its figures."""

import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import pytest


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body with exact numbers."""
        return json.loads(self.text, parse_float=Decimal)


class Client:
    """One gateway over HTTP."""

    def __init__(self, session: aiohttp.ClientSession, url: str, admin_token: str) -> None:
        self._session = session
        self._url = url
        self.admin_token = admin_token
        self.address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """One request. ``body``: bytes as they are, pieces to send in chunks, or a value made JSON."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        skip = ("Content-Type",) if "Content-Type" not in sent else ()
        async with self._session.request(
            method, self._url + path, data=_data(body), headers=sent, skip_auto_headers=skip
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def make_key(self, customer_id: str) -> tuple[int, str]:
        """Id and secret of a new API key."""
        answer = await self.call("POST", "/api/admin/api-keys", {"customer_id": customer_id}, self.admin_token)
        assert answer.status == 201, answer.text
        return answer.json["id"], answer.json["api_key"]

    async def faults(self) -> float:
        """Answers of 500 and above so far, readiness apart, and unexpected errors."""
        text = (await self.call("GET", "/metrics")).text
        answers = re.findall(
            r'^rev_ingest_request_seconds_count\{.*route="(?!/readyz").*status="5\d\d"\} (\S+)$', text, re.M
        )
        bugs = re.findall(r"^rev_ingest_unexpected_errors_total (\S+)$", text, re.M)
        return sum(map(float, answers + bugs))


def _data(body: Any) -> Any:
    if body is None:
        return None
    return io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
async def client(stack: dict[str, Any]) -> AsyncIterator[Client]:
    """A client of the session's stack."""
    async with aiohttp.ClientSession() as session:
        yield Client(session, stack["http"], stack["admin_token"])
