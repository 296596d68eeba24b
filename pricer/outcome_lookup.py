"""Look-up of outcomes in the shard's state: by address, and whether one was voided.

Read-only: nothing here decides or writes.
"""

from typing import NamedTuple

import msgspec

from schemas import state
from schemas.commands import Mode
from schemas.ids import outcome_id
from schemas.objects import VoidObject
from schemas.state import ClosedOutcome, OpenOutcome
from streams.types import StateView

ADDRESS = "oc_"
"""Prefix of an outcome_id; no task_id begins with it."""

decode_void = msgspec.json.Decoder(VoidObject).decode


class FoundOutcome(NamedTuple):
    """An outcome of the requesting customer."""

    id: str
    stored: OpenOutcome | ClosedOutcome


def find(shard: StateView, customer_id: str, target: str, mode: Mode | None) -> FoundOutcome | None:
    """Return an outcome by outcome_id or task_id; None if it is unknown, another customer's or the other mode's.
    Without a mode, an outcome of either is found."""
    return (
        _by_id(shard, customer_id, target, mode)
        if target.startswith(ADDRESS)
        else of_task(shard, customer_id, target, mode)
    )


def of_task(shard: StateView, customer_id: str, task_id: str, mode: Mode | None) -> FoundOutcome | None:
    """Return the outcome registered for a task. Test tasks from before modes were separate are stored among the live
    ones, until a live task takes the key."""
    for test in (True, False) if mode == "test" else (False,):
        id = shard.get(state.task_key(customer_id, task_id, test))
        found = None if id is None else _by_id(shard, customer_id, id.decode(), mode)
        if found is not None:
            return found
    return None


def displaced_by(
    shard: StateView, customer_id: str, task_id: str, mode: Mode | None
) -> tuple[tuple[bytes, bytes], ...]:
    """Return what to write before a live task takes its key. A test task stored under it moves to the key for test
    tasks, unless that is taken."""
    there = shard.get(state.task_key(customer_id, task_id)) if mode == "live" else None
    own = state.task_key(customer_id, task_id, test=True)
    return () if there is None or shard.get(own) is not None else ((own, there),)


def _by_id(shard: StateView, customer_id: str, id: str, mode: Mode | None) -> FoundOutcome | None:
    stored = shard.get(state.outcome_key(id))
    if stored is None:
        return None
    outcome = state.decode_outcome(stored)
    here = outcome.customer_id == customer_id and (mode is None or outcome.test == (mode == "test"))
    return FoundOutcome(id, outcome) if here else None


def void_of(shard: StateView, event_id: int) -> VoidObject | None:
    """Return the void of an entry, or None."""
    stored = shard.get(state.void_key(event_id))
    return None if stored is None else decode_void(stored)


def voided(shard: StateView, found: FoundOutcome) -> bool:
    """True if its charge was voided, or nothing can be charged because the event that opened it was voided before it
    ended. A void of that event after the end leaves the charge."""
    stored = found.stored
    if isinstance(stored, OpenOutcome):
        return stored.voided
    if void_of(shard, stored.closed_by) is not None:
        return True
    of_event = void_of(shard, int(found.id.removeprefix(ADDRESS)))
    return of_event is not None and of_event.event_id < stored.closed_by


def opened_by(shard: StateView, event_id: int) -> FoundOutcome | None:
    """Return the outcome that the event or command with this id opened, of any customer."""
    id = outcome_id(event_id)
    stored = shard.get(state.outcome_key(id))
    return None if stored is None else FoundOutcome(id, state.decode_outcome(stored))
