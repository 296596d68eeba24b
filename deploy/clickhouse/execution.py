"""From a request to its answer: chooses how a statement runs and makes the calls into the engine.

There are three ways to run: data into an INSERT, a SELECT that is streamed, everything else.
Blocking steps run in threads. Each step does as much as it can, because each costs a switch.
"""

import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from deploy.clickhouse import guard, request, sessions, statement
from deploy.clickhouse.engine import Engine, Handle, identifier, literal
from deploy.clickhouse.errors import ClickHouseError, cancelled, denied, from_engine, read_only, refusal, syntax
from deploy.clickhouse.request import External, Request
from deploy.clickhouse.running import Registry, RunningQuery
from deploy.clickhouse.sessions import Session, Sessions
from deploy.clickhouse.users import User

STREAMABLE = frozenset({"native", "tabseparated", "tsv", "csv", "rowbinary", "jsoneachrow"})
"""Formats without a header or an end, whose pieces can be joined."""
DEFAULT_FORMAT = "TabSeparated"
REMEMBERED = 256
"""Statements whose parsing is remembered: services send the same ones again and again, with other parameters."""
LONGEST = 16 << 10
"""Bytes of the longest of them."""


class QueryResult(NamedTuple):
    """Result of one query. ``format`` None: no result set (DDL, INSERT). ``more``: pieces that follow ``body``."""

    body: bytes
    format: str | None = None
    summary: str = ""
    more: AsyncIterator[bytes] | None = None


class ParsedStatement(NamedTuple):
    """What the text of a statement says. ``query_class`` and ``statements``: see Engine.classify."""

    query_class: str
    statements: int
    kill: statement.Kill | None
    format: str | None
    is_select: bool


def summary(started: float, **counts: int) -> str:
    """Return the X-ClickHouse-Summary header; ``started`` is a time.perf_counter()."""
    names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_rows")
    values = {name: str(counts.get(name, 0)) for name in (*names, "result_bytes")}
    values["elapsed_ns"] = str(int((time.perf_counter() - started) * 1e9))
    return json.dumps(values)


class Execution:
    """Execution of the queries of all users.

    ``pools``: separate threads of writers ("rw") and analysts ("ro"), so that analysts cannot block writers.
    """

    def __init__(self, engine: Engine, registry: Registry, open_sessions: Sessions, pools: dict[str, Executor]) -> None:
        self._engine = engine
        self._registry = registry
        self._sessions = open_sessions
        self._pools = pools
        self._remembered = lru_cache(REMEMBERED)(self._read)

    @asynccontextmanager
    async def answer(self, user: User, wanted: Request, running: RunningQuery) -> AsyncIterator[QueryResult]:
        """Yield the answer; read its ``more`` inside the context. Raises ClickHouseError."""
        session = self._session(user, wanted)
        handle: Handle | None = session.handle if session else None
        undo = ""
        try:
            if handle is None:
                handle = await self._thread(
                    user, running, self._engine.lease, user.role, wanted.database, wanted.settings
                )
            running.tag = handle.tag
            if session is not None:
                undo = await self._thread(user, running, _enter, handle, wanted)
            if wanted.externals:
                handle.clean = False
                await self._thread(user, running, _create_externals, handle, wanted.externals)
            yield await self._one(user, wanted, running, handle)
        finally:
            running.tag = None
            if handle is not None:
                handle.drop_stream()
            if session is not None:
                sessions.undo(session.handle, undo)
                self._sessions.give_back(session, time.monotonic() + wanted.session_timeout)
            elif handle is not None:
                self._engine.release(handle)

    def _session(self, user: User, wanted: Request) -> Session | None:
        if wanted.session_id is None or user.role == "ro":
            return None
        found = self._sessions.get(user.name, wanted.session_id, time.monotonic())
        if found is None and wanted.session_check:
            raise refusal(372, "SESSION_NOT_FOUND", "Session not found.")
        if found is None and statement.is_sticky(wanted.head):
            return self._sessions.open(user.name, wanted.session_id, wanted.database)
        return found

    async def _one(self, user: User, wanted: Request, running: RunningQuery, handle: Handle) -> QueryResult:
        insert = statement.insert(wanted.head)
        if insert is not None:
            if user.role == "ro" or wanted.get:
                raise read_only()
            return await self._insert(user, wanted, running, handle, insert)
        sql = await request.whole(wanted)
        says = self._remembered(sql) if len(sql) <= LONGEST else self._read(sql)
        kind, count = says.query_class, says.statements
        if count > 1:
            raise syntax("Multi-statements are not allowed")
        if (user.role == "ro" or wanted.get) and count and kind != "READ_ONLY":
            raise read_only()
        if says.kill is not None:
            return await self._kill(user, wanted, running, handle, says.kill)
        handle.clean = handle.clean and (kind == "READ_ONLY" or sql[:6].upper() == b"INSERT")
        format_name = says.format or wanted.format or DEFAULT_FORMAT
        if user.role == "ro":
            sql = await self._thread(user, running, self._guarded, handle, sql, wanted.parameters)
        streamed = format_name.lower() in STREAMABLE and not wanted.buffered and kind == "READ_ONLY"
        if streamed and says.is_select:
            return await self._stream(user, wanted, running, handle, sql, format_name)
        plain: QueryResult = await self._thread(
            user, running, _plain, handle, sql, format_name, wanted.parameters, kind
        )
        if count == 0:  # nothing to parse, yet the engine raised no error
            raise syntax("Empty query")
        return plain

    def _read(self, sql: bytes) -> ParsedStatement:
        return ParsedStatement(
            *self._engine.classify(sql), statement.kill(sql), statement.output_format(sql), statement.is_select(sql)
        )

    def _guarded(self, handle: Handle, sql: bytes, parameters: dict[str, str]) -> bytes:
        """Return the statement to run for an analyst. Raises ClickHouseError."""
        known = guard.handshake(sql)
        if known is not None:
            return known
        try:
            ast = handle.text(b"EXPLAIN AST " + sql, "TSVRaw", parameters)
        except ClickHouseError as error:
            raise guard.explained(error) from error
        guard.check(ast, self._engine.functions)
        return sql

    async def _thread(self, user: User, running: RunningQuery, function: Any, *arguments: Any) -> Any:
        return await self._registry.in_thread(self._pools[user.role], running, function, *arguments)

    async def _insert(
        self, user: User, wanted: Request, running: RunningQuery, handle: Handle, insert: statement.Insert
    ) -> QueryResult:
        started = time.perf_counter()
        load = _InsertData(handle, insert)
        data = wanted.head[insert.data :]
        try:
            if wanted.rest is not None:
                async for chunk in wanted.rest:
                    await self._thread(user, running, load.append, data)
                    data = chunk
            rows, size = await self._thread(user, running, load.finish, data)
        except BaseException:
            handle.clean = False
            await self._registry.to_the_end(self._pools[user.role], load.abandon)
            raise
        if running.killed:  # the engine ends a killed INSERT without an error
            raise cancelled()
        counts = {"written_rows": rows, "written_bytes": size, "read_rows": rows, "read_bytes": size}
        return QueryResult(b"", None, summary(started, **counts))

    async def _stream(
        self, user: User, wanted: Request, running: RunningQuery, handle: Handle, sql: bytes, format_name: str
    ) -> QueryResult:
        started = time.perf_counter()
        source = _Source(handle, sql, format_name, wanted.parameters)
        first, second = await self._thread(user, running, source.first_two)
        more = self._rest(user, running, source, second) if second else None
        return QueryResult(first, format_name, summary(started, result_bytes=len(first)), more)

    async def _rest(self, user: User, running: RunningQuery, source: "_Source", piece: bytes) -> AsyncIterator[bytes]:
        while piece:
            yield piece
            piece = await self._thread(user, running, source.next)

    async def _kill(
        self, user: User, wanted: Request, running: RunningQuery, handle: Handle, kill: statement.Kill
    ) -> QueryResult:
        """Run KILL QUERY over the queries as clients know them, by their own ids."""
        rows = [one for one in self._registry.list() if one is not running]
        listed = await self._thread(user, running, _matching, handle, rows, kill.condition, wanted.parameters)
        found = [one for one in rows if one.query_id in listed]
        if kill.mode != b"TEST":
            for one in found:
                one.stop()
        if kill.mode == b"SYNC":
            for one in found:
                await one.done.wait()
        format_name = kill.format or wanted.format or DEFAULT_FORMAT
        status = "finished" if kill.mode == b"SYNC" else "waiting"
        sql = f"SELECT {literal(status)} AS kill_status, query_id, user, query FROM {_table(found)}"
        answer: QueryResult = await self._thread(
            user, running, _plain, handle, sql.encode(), format_name, {}, "READ_ONLY"
        )
        return answer


class _InsertData:
    """The data of one INSERT on its way into the engine. Blocks."""

    def __init__(self, handle: Handle, insert: statement.Insert) -> None:
        self._handle = handle
        self._insert = insert
        self._sent: Any = None

    def append(self, data: bytes) -> None:
        try:
            if self._sent is None:
                self._sent = self._handle.raw.send_insert(self._insert.head, self._insert.format)
            if data:
                self._handle.raw.insert_append(self._sent, data)
        except RuntimeError as error:
            raise from_engine(error) from error

    def finish(self, data: bytes) -> tuple[int, int]:
        """Finish the INSERT; return the rows and bytes written."""
        self.append(data)
        sent, self._sent = self._sent, None
        try:
            done = self._handle.raw.insert_done(sent)
        except RuntimeError as error:
            raise from_engine(error) from error
        return done.rows_written(), done.bytes_written()

    def abandon(self) -> None:
        """End the INSERT without writing the rest. Does nothing after ``finish``."""
        sent, self._sent = self._sent, None
        if sent is None:
            return
        try:
            self._handle.raw.insert_cancel(sent)
        except RuntimeError:
            # It had already failed, and its client gets that error.
            return


class _Source:
    """The pieces of one SELECT's result. Blocks; ``next`` returns b"" at the end."""

    def __init__(self, handle: Handle, sql: bytes, format_name: str, parameters: dict[str, str]) -> None:
        self._handle = handle
        self._query = (sql, format_name)
        self._parameters = parameters

    def first_two(self) -> tuple[bytes, bytes]:
        """Return two pieces at once: for most results the second is empty, and the answer is complete."""
        try:
            self._handle.stream = self._handle.raw.send_query(*self._query, params=self._parameters)
        except RuntimeError as error:
            self._handle.clean = False
            raise from_engine(error) from error
        first = self.next()
        return first, self.next() if first else b""

    def next(self) -> bytes:
        try:
            piece = self._handle.raw.streaming_fetch_result(self._handle.stream)
        except RuntimeError as error:
            self._handle.stream = None
            self._handle.clean = False
            raise from_engine(error) from error
        found: bytes = piece.bytes() if piece is not None else b""
        if not found:
            self._handle.stream = None
        return found


def _plain(handle: Handle, sql: bytes, format_name: str, parameters: dict[str, str], kind: str) -> QueryResult:
    started = time.perf_counter()
    result = handle.run(sql, format_name, parameters)
    body: bytes = result.bytes()
    counts = {
        "read_rows": result.rows_read(),
        "read_bytes": result.bytes_read(),
        "written_rows": result.rows_written(),
        "written_bytes": result.bytes_written(),
        "result_bytes": len(body),
    }
    shown = format_name if kind == "READ_ONLY" or body else None
    return QueryResult(body, shown, summary(started, **counts))


def _enter(handle: Handle, wanted: Request) -> str:
    """Prepare a session's handle for one query; return the SET that undoes its settings."""
    handle.mark()
    return sessions.apply(handle, wanted.settings)


def _create_externals(handle: Handle, tables: list[External]) -> None:
    for table in tables:
        if handle.role == "ro":
            raise denied("analysts must not send external tables")
        handle.run(f"CREATE TEMPORARY TABLE {identifier(table.name)} ({table.columns})")
        insert = statement.Insert(f"INSERT INTO {identifier(table.name)}", table.format, 0)
        _InsertData(handle, insert).finish(table.data)


def _table(queries: list[RunningQuery]) -> str:
    """Return the running queries as a subquery; it has its columns even without rows."""
    rows = [
        f"({literal(one.query_id)}, {literal(one.user)}, {literal(one.query.decode('utf-8', 'replace'))},"
        f" {time.monotonic() - one.since:.3f})"
        for one in queries
    ]
    columns = "Array(Tuple(query_id String, user String, query String, elapsed Float64))"
    unpacked = "one.1 AS query_id, one.2 AS user, one.3 AS query, one.4 AS elapsed"
    return f"(SELECT {unpacked} FROM (SELECT arrayJoin(CAST([{', '.join(rows)}] AS {columns})) AS one))"


def _matching(handle: Handle, queries: list[RunningQuery], condition: bytes, parameters: dict[str, str]) -> set[str]:
    sql = f"SELECT query_id FROM {_table(queries)} WHERE ".encode() + condition
    return {json.loads(row)["query_id"] for row in handle.text(sql, "JSONEachRow", parameters).splitlines()}
