"""What changed suddenly: the last minute of an agent against the hour before it. Pure; money in pico-cents.

An agent that goes on as before is in no list, and one without a history is not compared: it is better to say nothing
than to say it every minute.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from schemas.money import parse_cents
from warehouse.dashboard_rows import RunRateRow

WATCHED = 2000
"""Rows of the last minute and of the hour before: everyone, and the agents with the largest totals."""
KNOWN_MINUTES = 10
"""Minutes of the hour with events, from which on an agent has a usual rate to compare with."""
SPENT_TIMES = 3
"""How many times its busiest minute of the hour an agent must have been charged."""
SPENT_EVENTS = 10
"""Events in the last minute, from which on its charges are compared."""
FAILED = 5
"""Failures in the last minute, from which on their share is compared."""
STEADY_MINUTES = 50
"""Minutes of the hour with events, from which on a minute without any is news."""
STEADY_EVENTS = 10
"""Events a minute of an agent of which that is news."""
Kind = Literal["failures", "silence", "spend"]


class Jump(NamedTuple):
    """``now``: the last minute; ``usual``: the hour before. ``customer`` and ``agent`` are '' for everyone."""

    kind: Kind
    now: RunRateRow
    usual: RunRateRow

    @property
    def customer(self) -> str:
        return self.usual.customer

    @property
    def agent(self) -> str:
        return self.usual.agent


def none(customer: str, agent: str) -> RunRateRow:
    """Return the sums of nothing."""
    return RunRateRow(
        customer=customer, agent=agent, events=0, failed=0, ended=0, total="0", minutes=0, most_events=0, most="0"
    )


def whole(rows: Sequence[RunRateRow]) -> RunRateRow:
    """Return the sums of everyone."""
    return rows[0] if rows and not rows[0].customer else none("", "")


def jumps(minute: Sequence[RunRateRow], hour: Sequence[RunRateRow]) -> list[Jump]:
    """Return the sudden jumps of agents: failures first, then silence, then spend, the largest change first.

    If everyone is silent, that is the one jump. An agent that WATCHED cut off is not compared.
    """
    now = {(row.customer, row.agent): row for row in minute}
    if _is_steady(whole(hour)) and whole(minute).events <= 0:
        return [Jump("silence", whole(minute), whole(hour))]
    found = []
    for usual in hour:
        if usual.customer:
            key = (usual.customer, usual.agent)
            here = now.get(key)
            if here is None and len(minute) < WATCHED:
                here = none(*key)
            found += [Jump(kind, here, usual) for kind in _kinds(here, usual)] if here is not None else []
    if len(hour) < WATCHED:
        known = {(row.customer, row.agent) for row in hour}
        fresh = [row for row in minute if row.customer and (row.customer, row.agent) not in known]
        found += [Jump("failures", row, none(row.customer, row.agent)) for row in fresh if _fails(row, none("", ""))]
    return sorted(found, key=_order)


def _kinds(now: RunRateRow, usual: RunRateRow) -> list[Kind]:
    kinds: list[Kind] = []
    if _fails(now, usual):
        kinds.append("failures")
    if now.events <= 0 and _is_steady(usual):
        kinds.append("silence")
    is_known = usual.minutes >= KNOWN_MINUTES and now.events >= SPENT_EVENTS
    if is_known and parse_cents(now.total) > SPENT_TIMES * max(parse_cents(usual.most), 0):
        kinds.append("spend")
    return kinds


def _fails(now: RunRateRow, usual: RunRateRow) -> bool:
    """True if at least half failed, and at least twice the share of the hour before."""
    is_half = now.failed >= FAILED and 2 * now.failed >= now.ended
    return is_half and now.failed * usual.ended >= 2 * usual.failed * now.ended


def _is_steady(usual: RunRateRow) -> bool:
    return usual.minutes >= STEADY_MINUTES and usual.events >= 60 * STEADY_EVENTS


def _order(jump: Jump) -> tuple[str, int, str, str]:
    size = {
        "failures": jump.now.failed,
        "silence": jump.usual.events,
        "spend": parse_cents(jump.now.total),
    }[jump.kind]
    return jump.kind, -size, jump.customer, jump.agent
