"""Sessions: what SET, USE and CREATE TEMPORARY TABLE leave, kept for the client's next query.

A session gets a handle of its own only when a statement needs it, because clickhouse-connect
sends a session id with every query. Analysts have no sessions.
"""

import json

from deploy.clickhouse.engine import Engine, Handle, assignments, literal
from deploy.clickhouse.errors import refusal

MOST = 64
"""Maximum number of open sessions."""


class Session:
    """An open session: its handle, whether a query is using it, when it ends (monotonic s)."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.busy = False
        self.ends = 0.0


class Sessions:
    """The open sessions by user and id. Runs on the event loop; only ``Engine`` blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[tuple[str, str], Session] = {}

    def get(self, user: str, session_id: str, now: float) -> Session | None:
        """Return the session, reserved for one query, or None if there is none.

        Raises ClickHouseError 373 while another query is using it.
        """
        self.expire(now)
        session = self._open.get((user, session_id))
        if session is None:
            return None
        if session.busy:
            raise refusal(373, "SESSION_IS_LOCKED", f"Session {session_id[:60]} is locked by a concurrent client.")
        session.busy = True
        return session

    def open(self, user: str, session_id: str, database: str) -> Session:
        """Open a session, reserved for one query."""
        if len(self._open) >= MOST:
            raise refusal(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"Too many sessions: {MOST} are open")
        handle = self._engine.lease("rw", database, {})
        handle.clean = False
        session = self._open[user, session_id] = Session(handle)
        session.busy = True
        return session

    def give_back(self, session: Session, ends: float) -> None:
        session.busy = False
        session.ends = ends

    def expire(self, now: float) -> None:
        """Close the sessions that have timed out."""
        for key in [key for key, session in self._open.items() if not session.busy and session.ends < now]:
            self._open.pop(key).handle.close()

    def close(self) -> None:
        for session in self._open.values():
            session.handle.close()
        self._open.clear()


def apply(handle: Handle, settings: dict[str, str]) -> str:
    """Set a query's settings on a session's handle; return the SET that undoes it, empty if none."""
    if not settings:
        return ""
    wanted = assignments(settings)
    names = ", ".join(literal(name) for name in settings)
    rows = handle.text(f"SELECT name, value, changed FROM system.settings WHERE name IN ({names})", "JSONEachRow")
    before = [json.loads(row) for row in rows.splitlines()]
    handle.run(f"SET {wanted}")
    return ", ".join(f"{row['name']} = {literal(row['value']) if row['changed'] else 'DEFAULT'}" for row in before)


def undo(handle: Handle, statement: str) -> None:
    if statement:
        handle.run(f"SET {statement}")
