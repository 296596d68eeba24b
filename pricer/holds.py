"""The open reservations that one command finds, settles, releases or expires. Pure.

A reservation ends once: in the state its record gives way to the object that the API shows for ever.
"""

import msgspec

from pricer.budgets import Change, SpendRefusal
from schemas import reservations
from schemas.reservations import Reservation, Status, closed_key, number_of, open_key, shown
from schemas.spending import Subject
from streams.types import StateView

NOT_FOUND, CLOSED = "not_found", "reservation_closed"


class HoldTransaction:
    """The reservations of a customer in one mode while a command is decided at the accepted time ``at``."""

    def __init__(self, shard: StateView, customer_id: str, test: bool, at: int) -> None:
        self._shard = shard
        self._owner = customer_id, test
        self._at = at
        self._changes: list[Change] = []
        self._closed: dict[int, Status] = {}

    def find(self, reservation_id: str) -> Reservation | SpendRefusal:
        """Return an open reservation, or why there is none: another's, one that has ended, or none at all."""
        id = number_of(reservation_id)
        stored = None if id is None or id in self._closed else self._shard.get(open_key(*self._owner, id))
        if stored is None:
            status = None if id is None else self.ended(id)
            if status is None:
                return SpendRefusal(NOT_FOUND, f"no reservation {reservation_id!r}")
            return SpendRefusal(CLOSED, f"reservation {reservation_id} is {status} already")
        found = reservations.decode(stored)
        if self._at >= found.expires_at:
            return SpendRefusal(CLOSED, f"reservation {reservation_id} has expired")
        return found

    def ended(self, id: int) -> Status | None:
        """Return how a reservation has ended; None if it has not, or there is none."""
        if id in self._closed:
            return self._closed[id]
        stored = self._shard.get(closed_key(*self._owner, id))
        return None if stored is None else reservations.decode_ended(stored).status

    def close(
        self, one: Reservation, status: Status, event_id: int | None = None, charged: str | None = None
    ) -> msgspec.Raw:
        """End a reservation; return it as the API shows it."""
        at = one.expires_at if status == "expired" else self._at
        result = msgspec.Raw(reservations.encode(shown(one, status, at, event_id, charged)))
        self._closed[one.id] = status
        self._changes += [
            (open_key(*self._owner, one.id), None),
            (closed_key(*self._owner, one.id), bytes(memoryview(result))),
        ]
        return result

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        return tuple(self._changes)


def subject_of(one: Reservation) -> Subject:
    """Return what a reservation is for, as the budgets see it."""
    return Subject(one.agent_id, one.action, one.model, one.api_key_id)
