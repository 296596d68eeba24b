"""The gateway's API as `rev web` uses it: for prices, keys, webhooks, audit and whatever else is not in ClickHouse."""

import json
from decimal import Decimal
from typing import Any

import aiohttp

from web.web_refusals import Refusal, away

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)


class GatewayApi:
    """A client of one gateway, as its administrator. It connects at the first call."""

    def __init__(self, url: str, admin_token: str) -> None:
        self._url = url.rstrip("/")
        self._token = admin_token
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer, its numbers exact (Decimal).

        ``path`` is already encoded. Raises Refusal: the gateway's own, or 503 if it does not answer.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                text = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away("the API does not answer") from error
        try:
            answer = json.loads(text, parse_float=Decimal)
        except ValueError as error:
            raise away("the API does not answer in JSON") from error
        if status >= 400:
            raise Refusal(status, answer.get("code", "refused"), answer.get("error", "the API refuses this"))
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
