"""The gateway's API, answered from a table that a test fills."""

from typing import Any

import pytest

from tests.unit.web.conftest import Server
from web.web_refusals import Refusal


class FakeGateway:
    """``answers`` by method and path with its query; a Refusal is raised. ``calls`` keeps what was asked for."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Any] = {"GET /api/admin/unpriced": {"actions": 0, "events": 0, "unpriced": []}}
        self.calls: list[tuple[str, Any]] = []
        monkeypatch.setattr(server.site.api, "call", self._call)
        monkeypatch.setattr(server.site.api, "download", self._download)

    async def _call(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        self.calls.append((f"{method} {path}", body))
        answer = self.answers[f"{method} {path}"]
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def _download(self, path: str) -> Any:
        return await self._call("GET", path)
