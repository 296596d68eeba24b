"""The records of rev.state as seen by timers. No I/O.

Most of rev.state does not concern timers, and only a few fields of an outcome are decoded: a restart reads every
outcome that ever existed.
"""

import msgspec

from expirer import metrics
from expirer.month_timers import MonthTimers
from expirer.timers import Timers
from expirer.unpriced_notices import UnpricedNotices
from schemas.open_months import MONTH_PREFIX
from schemas.reservations import OPEN_PREFIX
from schemas.spending import GRANTS_PREFIX
from schemas.state import OUTCOME_PREFIX, PRICE_PREFIX, SEPARATOR
from schemas.unpriced import UNPRICED_PREFIX
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


class _Grant(msgspec.Struct, gc=False):
    """The needed part of schemas.spending.Grant."""

    id: int
    expires_at: int | None = None


_decode_grants = msgspec.json.Decoder(tuple[_Grant, ...]).decode
_decode_reserved = msgspec.json.Decoder(_Reserved).decode
_decode = msgspec.json.Decoder(_Open | _Closed).decode


class StateReader:
    """A reader that applies one partition's changes to its timers: of outcomes, of reservations, of grants, of open
    months, and of events that wait for a price."""

    def __init__(
        self, timers: Timers, reserved: Timers, grants: Timers, months: MonthTimers, unpriced: UnpricedNotices
    ) -> None:
        self._timers = timers
        self._reserved = reserved
        self._grants = grants
        self._months = months
        self._unpriced = unpriced
        self._expiring: dict[bytes, set[int]] = {}
        """The grants that expire, by the key of the list that they are in."""

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Apply one record; repeats are permitted. Raises ValueError or msgspec.DecodeError for an unreadable one;
        timers must not continue as if it did not exist."""
        if key.startswith(OUTCOME_PREFIX):
            self._outcome(int(key[ID:]), value)
        elif key.startswith(OPEN_PREFIX):
            self._reservation(int(key[key.rindex(SEPARATOR) + 1 :]), value)
        elif key.startswith(GRANTS_PREFIX):
            self._grants_of(key, value)
        elif key.startswith(MONTH_PREFIX):
            self._months.observed(key, value)
        elif key.startswith(UNPRICED_PREFIX):
            self._unpriced.observed(key, value)
        elif key.startswith(PRICE_PREFIX):
            self._unpriced.observed_price(key, value)
        elif key == position.KEY and (found := position.decode(value)) is not None:
            for timers in (self._timers, self._reserved, self._grants, self._months, self._unpriced):
                timers.passed(found.next)

    def _grants_of(self, key: bytes, value: bytes | None) -> None:
        grants = () if value is None else _decode_grants(value)
        expiring = {one.id: one.expires_at for one in grants if one.expires_at is not None}
        for gone in self._expiring.get(key, set()) - expiring.keys():
            self._grants.closed(gone)
        owner = key[len(GRANTS_PREFIX) : -1].decode()  # of test mode with TEST at its end
        for id, expires_at in expiring.items():
            self._grants.opened(id, owner, expires_at)
        self._expiring[key] = set(expiring)

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
