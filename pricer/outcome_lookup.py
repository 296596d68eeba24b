"""Where an outcome stands in the shard's state: found by its address, and whether it was voided.

Reads only; nothing that decides or writes may come in here.
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
"""How an outcome_id begins; no task_id does."""

decode_void = msgspec.json.Decoder(VoidObject).decode


class FoundOutcome(NamedTuple):
    """An outcome of the customer who asks."""

    id: str
    stored: OpenOutcome | ClosedOutcome


def find(shard: StateView, customer_id: str, target: str, mode: Mode | None) -> FoundOutcome | None:
    """By outcome_id or task_id; None when it is unknown, another customer's or the other mode's.
    Without a mode, an outcome of either is found."""
    return (
        _by_id(shard, customer_id, target, mode)
        if target.startswith(ADDRESS)
        else of_task(shard, customer_id, target, mode)
    )


def of_task(shard: StateView, customer_id: str, task_id: str, mode: Mode | None) -> FoundOutcome | None:
    """The outcome that was registered for a task. Test tasks of before modes were separate stand
    among the live ones, as long as no live task took the place."""
    for test in (True, False) if mode == "test" else (False,):
        id = shard.get(state.task_key(customer_id, task_id, test))
        found = None if id is None else _by_id(shard, customer_id, id.decode(), mode)
        if found is not None:
            return found
    return None


def displaced_by(
    shard: StateView, customer_id: str, task_id: str, mode: Mode | None
) -> tuple[tuple[bytes, bytes], ...]:
    """What is to be written before a live task takes its place: a test task that stands there moves
    to where test tasks belong, unless another one is there."""
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
    """The void of an entry, if there was one."""
    stored = shard.get(state.void_key(event_id))
    return None if stored is None else decode_void(stored)


def voided(shard: StateView, found: FoundOutcome) -> bool:
    """Whether its charge was taken back, or nothing can be charged since the event that opened
    it was voided before it ended. A void of that event after the end leaves the charge."""
    stored = found.stored
    if isinstance(stored, OpenOutcome):
        return stored.voided
    if void_of(shard, stored.closed_by) is not None:
        return True
    of_event = void_of(shard, int(found.id.removeprefix(ADDRESS)))
    return of_event is not None and of_event.event_id < stored.closed_by


def opened_by(shard: StateView, event_id: int) -> FoundOutcome | None:
    """The outcome that the event or command with this id opened, whoever's it is."""
    id = outcome_id(event_id)
    stored = shard.get(state.outcome_key(id))
    return None if stored is None else FoundOutcome(id, state.decode_outcome(stored))
