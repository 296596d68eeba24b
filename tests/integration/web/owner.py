"""The owner of a running stack: the API, the pages with a session, and SQL of their own."""

import json
import re
from decimal import Decimal
from typing import Any

import aiohttp

STREAM = "text/event-stream"


class Owner:
    """Calls to the one address of a stack. Numbers with a point are Decimal; redirects are not followed."""

    def __init__(self, session: aiohttp.ClientSession, run: dict[str, Any]) -> None:
        self.session = session
        self.run = run
        self.url = str(run["http"])
        self.admin = str(run["admin_token"])

    async def call(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> tuple[int, Any]:
        """Status and JSON of a call with a key, or with the admin token."""
        sent = {"Authorization": f"Bearer {key or self.admin}", **headers}
        async with self.session.request(method, self.url + path, json=body, headers=sent) as answer:
            return answer.status, json.loads(await answer.text(), parse_float=Decimal)

    async def dashboard(self, path: str) -> Any:
        """JSON of /api/dashboard/{path}."""
        status, found = await self.call("GET", f"/api/dashboard/{path}")
        assert status == 200, found
        return found

    async def key(self, customer: str, **more: Any) -> str:
        """A new API key of a customer."""
        status, made = await self.call("POST", "/api/admin/api-keys", {"customer_id": customer, **more})
        assert status == 201, made
        return str(made["api_key"])

    async def page(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
        """The response of a page, its text read unless it is a stream; without the admin token."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url + path, data=form, headers=sent, allow_redirects=False
        ) as answer:
            if answer.content_type != STREAM:
                await answer.read()
            return answer

    async def sign_in(self) -> str:
        """The Cookie header of a new session, made as a person makes one."""
        shown = await self.page("GET", "/login")
        found = re.search(r'name="form_token" value="([^"]+)"', await shown.text())
        assert found
        form = {"form_token": found[1], "token": self.admin, "next": "/dashboard"}
        answer = await self.page("POST", "/login", form, Cookie=f"rev_login={shown.cookies['rev_login'].value}")
        assert (answer.status, answer.headers["Location"]) == (303, "/dashboard")
        return f"rev_session={answer.cookies['rev_session'].value}"

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query as the analyst asks it, 64-bit numbers and decimals as text."""
        user, password = self.run["analyst"]
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
        quoted = "&output_format_json_quote_decimals=1&output_format_json_quote_64bit_integers=1"
        url = f"{self.run['clickhouse']}/?default_format=JSONEachRow{quoted}"
        async with self.session.post(url, data=query, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            return [json.loads(line) for line in text.splitlines()]
