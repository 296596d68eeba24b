"""The gateway's API as `rev web` uses it: for prices, keys, webhooks, audit and whatever else is not in ClickHouse."""

from typing import Any
from urllib.parse import urlencode

import aiohttp

from web import exact_json
from web.web_refusals import Refusal, away

PAGE = 1000
"""Rows asked for at once when a whole list is needed."""
TIMEOUT = aiohttp.ClientTimeout(total=10, connect=2)


class GatewayApi:
    """A client of one gateway, as its administrator. It connects at the first call."""

    def __init__(self, url: str, admin_token: str) -> None:
        self._url = url.rstrip("/")
        self._token = admin_token
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Return the answer, its numbers exact (Decimal).

        ``path`` is already encoded. ``key``: an API key, to ask as its holder instead of as the administrator. Raises
        Refusal: the gateway's own, or 503 if it does not answer.
        """
        return (await self.answered(method, path, body, key))[1]

    async def answered(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Return the status and the answer of a call that is not refused, as ``call`` does. Raises Refusal."""
        status, _, content = await self._sent(method, path, body, key)
        return status, _answer(status, content)

    async def download(self, path: str) -> tuple[str, bytes]:
        """Return the media type and the bytes of a file that the API makes, as the administrator. Raises Refusal."""
        status, media_type, content = await self._sent("GET", path)
        if status >= 400:
            _answer(status, content)
        return media_type, content

    async def _sent(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, str, bytes]:
        """Return status, media type and body of the answer. Raises Refusal without one."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"Authorization": f"Bearer {key or self._token}"}
        try:
            async with self._session.request(
                method, self._url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, response.content_type, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away("the API does not answer") from error

    async def whole_list(self, path: str, member: str, **query: str) -> list[Any]:
        """Return all pages of a list. Raises Refusal."""
        found: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            asked = {"limit": str(PAGE), **query, **({"cursor": cursor} if cursor else {})}
            page = await self.call("GET", f"{path}?{urlencode(asked)}")
            found += page[member]
            cursor = page["next_cursor"]
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _answer(status: int, content: bytes) -> Any:
    """Return the JSON of an answer. Raises Refusal for one that refuses, or is no JSON."""
    try:
        answer = exact_json.parsed(content.decode())
    except ValueError as error:
        raise away("the API does not answer in JSON") from error
    if status >= 400:
        raise Refusal(status, answer.get("code", "refused"), answer.get("error", "the API refuses this"))
    return answer
