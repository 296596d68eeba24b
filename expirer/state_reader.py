"""What the records of rev.state mean to timers. No I/O.

Most of rev.state is none of ours, and of an outcome only a few fields are decoded: a restart
reads every outcome that there ever was.
"""

import msgspec

from expirer import metrics
from expirer.timers import Timers
from schemas.state import OUTCOME_PREFIX
from streams import position

ID = len(OUTCOME_PREFIX) + len("oc_")
"""Where the event id begins in an outcome's key."""


class _Open(msgspec.Struct, gc=False, tag_field="is", tag="open"):
    """Part of schemas.state.OpenOutcome."""

    customer_id: str
    expires_at: int


class _Closed(msgspec.Struct, gc=False, tag_field="is", tag="closed"):
    """Part of schemas.state.ClosedOutcome."""

    verdict: str
    resolved_at: int


_decode = msgspec.json.Decoder(_Open | _Closed).decode


class StateReader:
    """Puts one partition's changes into its timers."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """One record; it may come again. Raises ValueError or msgspec.DecodeError for one that
        cannot be understood, and then timers must not go on as if it were not there."""
        if key.startswith(OUTCOME_PREFIX):
            self._outcome(int(key[ID:]), value)
        elif key == position.KEY and (found := position.decode(value)) is not None:
            self._timers.passed(found.next)

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
