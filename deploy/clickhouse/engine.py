"""The only module that uses chDB: it opens the directory and hands out handles.

SET, USE and temporary tables stick to a handle, so a handle whose query left something on it
is closed. A clean one is kept for the next query of the same role, database and settings, which
saves the set-up (5 ms of the ledger's block). Everything here blocks: call it from threads,
never from the event loop.
"""

import fcntl
import os
import threading
from pathlib import Path
from typing import IO, Any

from deploy.clickhouse import config, guard
from deploy.clickhouse.errors import denied, from_engine, refusal
from deploy.clickhouse.users import Role
from deploy.hidden_modules import hidden

with hidden("numpy"):  # it is for results as arrays, which nobody asks for here, and 6 MB
    from chdb import _chdb as _untyped

_chdb: Any = _untyped

KEPT = 8
"""Clean handles kept for each role, database and settings."""
KINDS = 50
"""Number of combinations of role, database and settings with kept handles: those used last."""
Kind = tuple[Role, str, tuple[tuple[str, str], ...]]


class Owned(RuntimeError):
    """Error for a directory that belongs to another process."""


def literal(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(name: str) -> str:
    """Return a quoted identifier of SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def assignments(settings: dict[str, str]) -> str:
    """Return the ``a='1', b='2'`` of a SET. Raises ClickHouseError for an invalid name."""
    for name in settings:
        if not name.isascii() or not name.isidentifier():
            raise refusal(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:60]}'")
    return ", ".join(f"{name}={literal(value)}" for name, value in settings.items())


class Handle:
    """Connection into the engine. ``tag`` marks its queries, so that they can be killed."""

    def __init__(self, connection: Any, kind: Kind, tag: str) -> None:
        self.raw = connection
        self.kind = kind
        self.role, self.database, _ = kind
        self.tag = tag
        self.clean = True
        self.stream: Any = None
        """The result that is being read piece by piece."""

    def drop_stream(self) -> None:
        """End a result that was not read to its end; call it before the handle's next use."""
        stream, self.stream = self.stream, None
        if stream is not None:
            self.clean = False
            self.raw.streaming_cancel_query(stream)

    def mark(self) -> None:
        """Restore the tag, which a session's own SET may have changed."""
        self.run(f"SET log_comment = {literal(self.tag)}")

    def run(self, sql: str | bytes, format_name: str = "TSV", parameters: dict[str, str] | None = None) -> Any:
        """Run the query and return chDB's result. Raises ClickHouseError."""
        try:
            return self.raw.query(sql, format_name, params=parameters or {})
        except RuntimeError as error:
            self.clean = False
            raise from_engine(error) from error

    def text(self, sql: str | bytes, format_name: str = "TSV", parameters: dict[str, str] | None = None) -> str:
        answer: bytes = self.run(sql, format_name, parameters).bytes()
        return answer.decode("utf-8", "replace")

    def close(self) -> None:
        self.raw.close()


class Engine:
    """A chDB directory that this process owns."""

    def __init__(self, directory: Path) -> None:
        """Open the directory. Raises Owned if another process has it, RuntimeError if chDB refuses it."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _take(directory / "owner.lock")
        self._path = str((directory / "store").absolute())
        if "?" in self._path:
            raise RuntimeError(f"{self._path}: the name of the directory must not contain a question mark")
        _chdb.set_signal_handlers_enabled(0)
        self._root = _chdb.connect(f"{self._path}?config-file={config.write(directory).absolute()}")
        self._free: dict[Kind, list[Handle]] = {}
        self._guard = threading.Lock()
        self._made = 0
        self.version, self.timezone = self._row("SELECT version(), timezone()")
        self.functions = self._functions()

    def _row(self, sql: str) -> list[str]:
        text: str = self._root.query(sql, "TSV").bytes().decode()
        return text.rstrip("\n").split("\t")

    def _functions(self) -> guard.Functions:
        listed = "SELECT f.name, if(t.categories = '', f.categories, t.categories) FROM system.functions AS f"
        listed += " LEFT JOIN system.functions AS t ON t.name = f.alias_to"
        rows = [line.split("\t") for line in self._root.query(listed, "TSV").bytes().decode().splitlines()]
        combinators = self._root.query("SELECT name FROM system.aggregate_function_combinators", "TSV").bytes()
        return guard.allowed_functions([(name, category) for name, category in rows], combinators.decode().split())

    def lease(self, role: Role, database: str, settings: dict[str, str]) -> Handle:
        """Return a handle with exactly these settings. Raises ClickHouseError if they cannot be set."""
        kind = (role, database, tuple(sorted(settings.items())))
        with self._guard:
            free = self._free.get(kind)
            if free:
                return free.pop()
        return self._make(kind)

    def _make(self, kind: Kind) -> Handle:
        with self._guard:
            self._made += 1
            tag = f"h{self._made}"
        handle = Handle(_chdb.connect(self._path), kind, tag)
        try:
            self._prepare(handle, dict(kind[2]))
        except BaseException:
            handle.close()
            raise
        return handle

    def _prepare(self, handle: Handle, settings: dict[str, str]) -> None:
        if handle.role == "ro":
            if handle.database not in ("default", config.DATABASE):
                raise denied(f"analysts must not use the database {handle.database[:60]}")
            handle.run(f"USE {config.DATABASE}")
            handle.run("SET ROLE analyst")
            limits = guard.settings(settings)
            # Last: nothing can be set after it.
            handle.run(f"SET {assignments({**limits, 'log_comment': handle.tag})}, readonly=1")
            return
        handle.run("SET " + assignments({**settings, "log_comment": handle.tag}))
        if handle.database != "default":
            handle.run(f"USE {identifier(handle.database)}")

    def release(self, handle: Handle) -> None:
        """Take a handle back; close it if it is not clean."""
        surplus = [handle]
        if handle.clean:
            with self._guard:
                free = self._free.pop(handle.kind, [])
                if len(free) < KEPT:
                    free.append(surplus.pop())
                self._free[handle.kind] = free  # at the end: the last used
                if len(self._free) > KINDS:
                    surplus += self._free.pop(next(iter(self._free)))
        for one in surplus:
            one.close()

    def classify(self, sql: bytes) -> tuple[str, int]:
        """Return (READ_ONLY | MUTATING | MUTATING_GLOBAL | CONTROL | UNKNOWN, number of statements)."""
        found = self._root.classify_query(sql)
        return found["query_class"].name, found["statement_count"]

    def kill(self, tag: str) -> None:
        """Ask the engine to cancel what runs on the handle with this tag. Does not wait."""
        handle = self.lease("rw", "default", {})
        try:
            handle.run(f"KILL QUERY WHERE Settings['log_comment'] = {literal(tag)} ASYNC")
        finally:
            self.release(handle)

    def close(self) -> None:
        """Release the directory; nothing may run any more."""
        with self._guard:
            for free in self._free.values():
                for handle in free:
                    handle.close()
            self._free.clear()
        self._root.close()
        self._lock.close()


def _take(path: Path) -> IO[str]:
    """Return the open lock file; the lock lasts while it is open, so never longer than the process."""
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise Owned(f"{path.parent} is already in use by process {owner}") from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
