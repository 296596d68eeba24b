"""ClickHouse's HTTP interface: routes, headers, statuses, compression of answers."""

import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from deploy.clickhouse import compression, request
from deploy.clickhouse.engine import Engine
from deploy.clickhouse.errors import ClickHouseError, bad_argument, from_engine
from deploy.clickhouse.execution import Execution, QueryResult
from deploy.clickhouse.running import Registry, RunningQuery
from deploy.clickhouse.sessions import Sessions
from deploy.clickhouse.users import User, authenticate

_SHOWN = 1000
"""Bytes of a query's text that KILL QUERY shows."""
_log = logging.getLogger(__name__)


def content_type(format_name: str) -> str:
    low = format_name.lower()
    if "json" in low:
        return "application/json; charset=UTF-8"
    if low.startswith(("csv",)):
        return "text/csv; charset=UTF-8"
    if low.startswith(("tsv", "tab", "pretty", "vertical", "values")):
        return "text/tab-separated-values; charset=UTF-8"
    return "application/octet-stream"


class Server:
    """HTTP server for the requests of all clients on one engine."""

    def __init__(self, engine: Engine, users: dict[str, User]) -> None:
        self._engine = engine
        self._users = users
        self._pools = {"rw": ThreadPoolExecutor(8, "rw"), "ro": ThreadPoolExecutor(3, "ro")}
        self._control = ThreadPoolExecutor(2, "control")
        self._registry = Registry(self._control, engine.kill)
        self._sessions = Sessions(engine)
        self._execution = Execution(engine, self._registry, self._sessions, dict(self._pools))

    def application(self) -> web.Application:
        application = web.Application(client_max_size=1 << 30)
        application.router.add_get("/ping", self._ping)
        application.router.add_route("*", "/", self._query)
        return application

    async def stop(self) -> None:
        """Cancel what runs and release the engine."""
        for running in self._registry.list():
            running.stop()
            await running.done.wait()
        for pool in (*self._pools.values(), self._control):
            pool.shutdown()
        self._sessions.close()
        self._engine.close()

    async def _ping(self, asked: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, asked: web.Request) -> web.StreamResponse:
        headers = {"X-ClickHouse-Server-Display-Name": "rev", "X-ClickHouse-Timezone": self._engine.timezone}
        try:
            if asked.method not in ("GET", "POST"):
                raise bad_argument(f"method {asked.method} is not supported")
            user = authenticate(self._users, asked.headers, asked.query)
            wanted = await request.read(asked)
            headers["X-ClickHouse-Query-Id"] = wanted.query_id
            running = RunningQuery(wanted.query_id, user.name, wanted.head[:_SHOWN])
            return await self._registry.run(running, self._answer(asked, user, wanted, running, headers))
        except ClickHouseError as error:
            return self._failed(error, headers)
        except RuntimeError as error:
            # The engine fails like this when nothing more specific is known.
            _log.exception("query failed outside its statement")
            return self._failed(from_engine(error), headers)

    def _failed(self, error: ClickHouseError, headers: dict[str, str]) -> web.Response:
        headers = {**headers, "X-ClickHouse-Exception-Code": str(error.code)}
        return web.Response(status=error.status, text=self._sentence(error), headers=headers)

    def _sentence(self, error: ClickHouseError) -> str:
        return f"{error.text} (version {self._engine.version})\n"

    async def _answer(
        self, asked: web.Request, user: User, wanted: request.Request, running: RunningQuery, headers: dict[str, str]
    ) -> web.StreamResponse:
        async with self._execution.answer(user, wanted, running) as answer:
            headers["X-ClickHouse-Summary"] = answer.summary
            if answer.format is not None:
                headers["X-ClickHouse-Format"] = answer.format
                headers["Content-Type"] = content_type(answer.format)
            if wanted.encoding is not None and (answer.body or answer.more):
                headers["Content-Encoding"] = wanted.encoding
            if answer.more is not None:
                return await self._streamed(asked, wanted, answer, answer.more, headers)
        body = answer.body
        if "Content-Encoding" in headers and wanted.encoding is not None:
            squeeze = compression.encoder(wanted.encoding)
            body = squeeze.compress(body) + squeeze.flush()
        return web.Response(body=body, headers=headers)

    async def _streamed(
        self,
        asked: web.Request,
        wanted: request.Request,
        answer: QueryResult,
        more: AsyncIterator[bytes],
        headers: dict[str, str],
    ) -> web.StreamResponse:
        tag = f"{time.monotonic_ns():016x}"[-16:]
        response = web.StreamResponse(headers={**headers, "X-ClickHouse-Exception-Tag": tag})
        await response.prepare(asked)
        squeeze = compression.encoder(wanted.encoding) if wanted.encoding else None
        await response.write(squeeze.compress(answer.body) if squeeze else answer.body)
        try:
            async for piece in more:
                await response.write(squeeze.compress(piece) if squeeze else piece)
        except ClickHouseError as error:
            text = self._interrupted(error, tag)
            await response.write(squeeze.compress(text) if squeeze else text)
        if squeeze:
            await response.write(squeeze.flush())
        await response.write_eof()
        return response

    def _interrupted(self, error: ClickHouseError, tag: str) -> bytes:
        """Return the mark of a failure after the first pieces of a result, as the server writes it."""
        text = self._sentence(error).encode()
        mark = tag.encode()
        return b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (mark, text, len(text), mark)
