"""What the clients of outcomes were promised and answered: kept to be held against the ledger."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.limits import HOUR

EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
SHARDS = 4
"""Of an embedded log."""
GRACE = 1000
"""Milliseconds after its time, outages apart, within which an outcome must have expired."""


class Closing(NamedTuple):
    """How an outcome ended, as an answer or the ledger says it. ``at``: ms UTC."""

    verdict: str
    charge: Decimal
    at: int


@dataclass
class Promise:
    """One outcome as its client knows it. Prices in cents, times in ms UTC."""

    customer: str
    name: str
    """Task of a registered outcome, idempotency key of the event that opens a pending one."""
    registered: bool
    plan: str
    body: dict[str, Any]
    success: Decimal
    failure: Decimal
    on_expiry: str
    expires_at: int
    outcome_id: str | None = None
    too_late: bool = False
    """It was refused as past after attempts without an answer: it may or may not be in the log."""
    closed: Closing | None = None
    voids: dict[int, int] = field(default_factory=dict)
    """event id of each void by that of what it takes back."""

    @property
    def event_id(self) -> int:
        """Of what opened it."""
        assert self.outcome_id is not None
        return int(self.outcome_id.removeprefix("oc_"))


@dataclass
class Book:
    """Everything that was promised and answered."""

    promises: list[Promise] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    acknowledged: int = 0
    by_shard: list[int] = field(default_factory=lambda: [0] * SHARDS)
    """Of those about openings and ends, how many each shard gave."""
    repeats: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    def opened(self, promise: Promise, outcome_id: str) -> None:
        """The same opening must always have the same id."""
        if promise.outcome_id not in (None, outcome_id):
            self.errors.append(f"{promise.name}: opened {promise.outcome_id}, then {outcome_id}")
        promise.outcome_id = outcome_id
        self._answered(promise)

    def closed(self, promise: Promise, closing: Closing) -> None:
        """Whoever asks how, an outcome ended once."""
        self._answered(promise)
        if promise.closed not in (None, closing):
            self.errors.append(f"{promise.name}: answered {promise.closed}, then {closing}")
        promise.closed = closing

    def voided(self, promise: Promise, original: int, void: int) -> None:
        """An entry is taken back once."""
        self.acknowledged += 1
        if promise.voids.setdefault(original, void) != void:
            self.errors.append(f"{promise.name}: {original} was voided by {promise.voids[original]}, then by {void}")

    def _answered(self, promise: Promise) -> None:
        self.acknowledged += 1
        self.by_shard[promise.event_id >> 10 & 63] += 1

    def count(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1


class LedgerRow(NamedTuple):
    """A row of the ledger about an outcome."""

    customer: str
    outcome_id: str
    kind: str
    verdict: str
    cents: Decimal
    event_id: int
    original: int
    at: int
    expires_at: int
    name: str
    """Task of a registration, key of a pending event; of no use in other rows."""


QUERY = """
SELECT customer_id, outcome_id, kind, verdict, toString(total_cents), event_id, ifNull(original, 0),
    toUnixTimestamp64Milli(recorded_at), ifNull(toUnixTimestamp64Milli(expires_at), 0),
    if(kind = 'event', idempotency_key, task_id)
FROM rev.entries
WHERE startsWith(customer_id, '{prefix}') AND outcome_id != '' AND kind != 'rejected'
ORDER BY event_id
FORMAT TSV
"""


def parse(text: str) -> list[LedgerRow]:
    """Rows of QUERY."""
    found = []
    for line in text.splitlines():
        customer, outcome, kind, verdict, cents, *numbers, name = line.split("\t")
        event_id, original, at, expires_at = map(int, numbers)
        found.append(
            LedgerRow(customer, outcome, kind, verdict, Decimal(cents), event_id, original, at, expires_at, name)
        )
    return found


def milliseconds(iso: str) -> int:
    """ms UTC of an answer's time."""
    return (datetime.fromisoformat(iso) - EPOCH) // timedelta(milliseconds=1)


class Judged(NamedTuple):
    """What the ledger and the book do not agree on, and how late expiries were, ms, outages taken off."""

    errors: list[str]
    late: list[int]
    verdicts: dict[str, int]


def judge(book: Book, rows: Iterable[LedgerRow], outages: list[tuple[float, float]], grace: int = GRACE) -> Judged:
    """Every outcome: opened once, closed once, as it was answered, at its price and in its time."""
    of: dict[tuple[str, str], list[LedgerRow]] = {}
    for row in rows:
        of.setdefault((row.customer, row.outcome_id), []).append(row)
    judged = Judged(list(book.errors), [], {})
    for promise in book.promises:
        found = [] if promise.outcome_id is None else of.pop((promise.customer, promise.outcome_id), [])
        if not found:
            found = _unanswered(promise, of)
        if found or not promise.too_late:
            judged.errors.extend(f"{promise.name}: {error}" for error in _wrong(promise, found))
            _measure(judged, found, outages, grace)
    judged.errors.extend(f"{outcome} of {customer} was never promised" for customer, outcome in of)
    return judged


def _unanswered(promise: Promise, of: dict[tuple[str, str], list[LedgerRow]]) -> list[LedgerRow]:
    """The rows of an outcome whose opening was never answered, if it got into the log."""
    if promise.outcome_id is None:
        for place, rows in of.items():
            if place[0] == promise.customer and rows[0].name == promise.name:
                return of.pop(place)
    return []


def _wrong(promise: Promise, rows: list[LedgerRow]) -> Iterable[str]:
    opened = [row for row in rows if row.kind in ("event", "registered")]
    closed = [row for row in rows if row.kind in ("charge", "waived")]
    voids = {row.original: row for row in rows if row.kind == "void"}
    if len(opened) != 1 or len(closed) != 1:
        yield f"opened {len(opened)} times, closed {len(closed)} times"
        return
    if len(voids) != sum(row.kind == "void" for row in rows):
        yield "an entry was voided twice"
    (start,), (end,) = opened, closed
    if promise.closed not in (None, Closing(end.verdict, end.cents, end.at)):
        yield f"answered {promise.closed}, the ledger has {end}"
    if (end.verdict == "expired") != (end.at >= promise.expires_at) or start.expires_at != promise.expires_at:
        yield f"{end.verdict} at {end.at}, its time was {promise.expires_at}"
    void = voids.get(start.event_id)
    voided = void is not None and void.event_id < end.event_id
    wanted = Decimal(0) if voided else _price(promise, end.verdict)
    if end.cents != wanted or (end.kind == "charge") != (wanted > 0):
        yield f"{end.kind} of {end.cents}, promised {wanted}"
    for original, row in voids.items():
        taken = {start.event_id: start.cents, end.event_id: end.cents}.get(original)
        if taken is None or row.cents != -taken:
            yield f"void {row.event_id} of {row.cents} for {taken}"
    if not promise.voids.items() <= {original: row.event_id for original, row in voids.items()}.items():
        yield f"voids answered {promise.voids}, the ledger has {voids}"


def _price(promise: Promise, verdict: str) -> Decimal:
    succeeded = verdict == "succeeded" or (verdict == "expired" and promise.on_expiry == "success")
    return promise.success if succeeded else promise.failure


def _measure(judged: Judged, rows: list[LedgerRow], outages: list[tuple[float, float]], grace: int) -> None:
    for row in rows:
        if row.kind not in ("charge", "waived"):
            continue
        judged.verdicts[row.verdict] = judged.verdicts.get(row.verdict, 0) + 1
        if row.verdict == "expired":
            due = max(row.expires_at, rows[0].at)
            late = row.at - due - sum(_overlap(due, row.at, began, ended) for began, ended in outages)
            judged.late.append(late)
            if late > grace or row.at - due > HOUR:
                what = f"{row.outcome_id} of {row.customer}, due {due}"
                judged.errors.append(f"{what}, expired {row.at - due} ms late, {late} without outages")


def _overlap(due: int, at: int, began: float, ended: float) -> int:
    return max(0, min(at, int(ended * 1000)) - max(due, int(began * 1000)))
