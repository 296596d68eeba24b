"""The records of rev.state as seen by timers. No I/O.

Most of rev.state does not concern timers, and only a few fields of an outcome are decoded: a restart reads every
outcome that ever existed.
"""

import msgspec

from expirer import metrics
from expirer.month_timers import MonthTimers
from expirer.timers import Timers
from schemas.open_months import MONTH_PREFIX
from schemas.reservations import OPEN_PREFIX
from schemas.state import OUTCOME_PREFIX, SEPARATOR
from streams import position

TEST = SEPARATOR.decode()
"""After the customer of a timer: of test mode. No customer id holds it."""
ID = len(OUTCOME_PREFIX) + len("oc_")
"""Index at which the event id begins in an outcome's key."""


class _Open(msgspec.Struct, gc=False, tag_field="is", tag="open"):
    """The needed part of schemas.state.OpenOutcome."""

    customer_id: str
    expires_at: int


class _Closed(msgspec.Struct, gc=False, tag_field="is", tag="closed"):
    """The needed part of schemas.state.ClosedOutcome."""

    verdict: str
    resolved_at: int


class _Reserved(msgspec.Struct, gc=False):
    """The needed part of schemas.reservations.Reservation."""

    customer_id: str
    expires_at: int
    test: bool = False


_decode_reserved = msgspec.json.Decoder(_Reserved).decode
_decode = msgspec.json.Decoder(_Open | _Closed).decode


class StateReader:
    """A reader that applies one partition's changes to its timers: of outcomes, of reservations, of open months."""

    def __init__(self, timers: Timers, reserved: Timers, months: MonthTimers) -> None:
        self._timers = timers
        self._reserved = reserved
        self._months = months

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Apply one record; repeats are permitted. Raises ValueError or msgspec.DecodeError for an unreadable one;
        timers must not continue as if it did not exist."""
        if key.startswith(OUTCOME_PREFIX):
            self._outcome(int(key[ID:]), value)
        elif key.startswith(OPEN_PREFIX):
            self._reservation(int(key[key.rindex(SEPARATOR) + 1 :]), value)
        elif key.startswith(MONTH_PREFIX):
            self._months.observed(key, value)
        elif key == position.KEY and (found := position.decode(value)) is not None:
            self._timers.passed(found.next)
            self._reserved.passed(found.next)
            self._months.passed(found.next)

    def _reservation(self, id: int, value: bytes | None) -> None:
        if value is None:
            self._reserved.closed(id)
            return
        found = _decode_reserved(value)
        self._reserved.opened(id, found.customer_id + TEST if found.test else found.customer_id, found.expires_at)

    def _outcome(self, event_id: int, value: bytes | None) -> None:
        found = None if value is None else _decode(value)
        if isinstance(found, _Open):
            self._timers.opened(event_id, found.customer_id, found.expires_at)
            return
        due = self._timers.closed(event_id)
        if due is None or found is None:
            return
        metrics.CLOSED.labels(found.verdict).inc()
        if found.verdict == "expired":
            metrics.LATENESS.observe((found.resolved_at - due) / 1000)
