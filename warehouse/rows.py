"""The rows that the named queries (sql/*.sql) answer with, and what they are asked for.

Field names are the column names of the query. Money and sums of tokens are decimal text,
since they can exceed 64 bits; times are ms since the epoch, UTC.
"""

from typing import Literal, NamedTuple

import msgspec

from schemas.entries import EntryKind
from schemas.ids import MAX_OFFSET
from schemas.labels import RowLabels
from schemas.limits import MAX_LIST
from warehouse.time_range import EVER, TimeRange

MAX_ID = (MAX_OFFSET << 16) | 0xFFFF
UsageKey = Literal["action", "agent_id", "model", "hour", "day"]
EVERY = 2**32 - 1
"""More names than any total has."""


class _Row(RowLabels, frozen=True, gc=False):
    """What the rows of events and of other entries have in common."""

    event_id: int
    customer_id: str
    agent_id: str
    action: str
    tokens: int
    tokens_input: int | None
    tokens_output: int | None
    outcome: str
    base: str
    token: str
    bonus: str
    total: str
    price_id: int
    price_action: str
    price_base: str
    price_token: str
    price_bonus: str
    price_is_default: bool
    price_offset: int
    outcome_id: str
    idempotency_key: str
    metadata: str
    test: bool
    expires_at: int | None
    event_time: int
    recorded_at: int
    reason: str
    import_id: str


class EventRow(_Row, frozen=True, gc=False):
    """A meter event as the ledger has it: priced, or rejected after it was accepted."""

    kind: Literal["event", "rejected"]


class EntryRow(_Row, frozen=True, gc=False):
    """An entry of any kind with all that it holds."""

    kind: EntryKind
    on_expiry: str
    detail: str


class OutcomeRow(msgspec.Struct, frozen=True, gc=False):
    """What opened an outcome: a registration, whose ``detail`` is the outcome as it opened, or a
    pending event, whose bonus is the price on success."""

    kind: Literal["registered", "event"]
    event_id: int
    customer_id: str
    agent_id: str
    action: str
    task_id: str
    on_expiry: str
    test: bool
    detail: str
    price_bonus: str
    expires_at: int
    recorded_at: int


class ClosingRow(msgspec.Struct, frozen=True, gc=False):
    """What closed the outcome that ``original`` opened; ``detail``: the outcome as it ended."""

    original: int
    event_id: int
    kind: Literal["charge", "waived"]
    detail: str


class EventQuery(NamedTuple):
    """Which events: of one customer, newest first; '' and None mean any."""

    customer: str
    test: bool | None = None
    agent: str = ""
    action: str = ""
    outcome: str = ""
    idempotency_key: str = ""
    time: TimeRange = EVER
    at_least: int = 0
    at_most: int = MAX_ID
    limit: int = 50
    import_id: str = ""


class ImportQuery(NamedTuple):
    """Which imports: of one customer and mode, from the one on whose last event was accepted last; those
    ``before`` a place in that order, (ms, import_id, customer_id). '' means any."""

    customer: str
    test: bool
    import_id: str = ""
    before: tuple[int, str, str] = (EVER.end, "", "")
    limit: int = 50


class OutcomeQuery(NamedTuple):
    """Which outcomes: of one customer, newest first, by when they were opened; '' and None mean
    any. ``now``: from their expires_at on, open ones count as expired, ms."""

    customer: str
    now: int
    test: bool | None = None
    agent: str = ""
    status: str = ""
    time: TimeRange = EVER
    at_most: int = MAX_ID
    limit: int = 50


class UsageQuery(NamedTuple):
    """Which entries a total is over; '' means any. ``test``: the test entries or the others."""

    customer: str
    test: bool
    time: TimeRange
    agent: str = ""
    action: str = ""
    model: str = ""
    top: int = MAX_LIST
    """Names that get a row of their own; the rest, of whom there may be millions, have one together."""

    def ranks(self, key: UsageKey) -> int:
        """How many rows have a name. Hours and days all have one: time bounds them."""
        return EVERY if key in ("hour", "day") else self.top


class UsageSumRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of the entries with one ``name``: an agent, an action, a model, an hour or a day
    (``2026-04-26 12:00:00``); or of the ``others`` names that have no row of their own. Voids are
    already taken off. ``active``: how many of these names have events left.
    """

    name: str
    others: int
    active: int
    events: int
    charges: int
    tokens: str
    total: str
    charged: str
    """The part of ``total`` that outcome charges make."""


class ImportRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of an import. ``first`` and ``last``: when events of it were accepted; ``voided``: of its
    events, how many were taken back; ``cents`` without and ``taken`` of the voids alone."""

    customer_id: str
    import_id: str
    first: int
    last: int
    events: int
    voided: int
    cents: str
    taken: str


class VoidedRow(msgspec.Struct, frozen=True, gc=False):
    """The void of the entry ``original``: why it was taken back."""

    original: int
    reason: str


class Amount(msgspec.Struct, frozen=True, gc=False):
    total: str


class Number(msgspec.Struct, frozen=True, gc=False):
    number: int


class Reached(msgspec.Struct, frozen=True, gc=False):
    """Highest offsets of one partition that the ledger has a row of; -1: none."""

    raw: int
    entries: int


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """One configuration change, or one void; ``type``: the domain event."""

    event_id: int
    type: str
    actor: str
    detail: str
    recorded_at: int


class DeliveryRow(msgspec.Struct, frozen=True, gc=False):
    """An attempt at a webhook delivery, or a gap, as rev._deliveries has it (schemas.deliveries);
    (``at``, ``log_partition``, ``log_offset``) is its place in the list. Times are ms."""

    log_partition: int
    log_offset: int
    delivery_id: str
    event_id: str
    type: str
    partition: int
    offset: int
    index: int
    attempt: int
    at: int
    outcome: str
    latency: int
    status: int | None
    error: str
    answer: str
    next_at: int | None
    replay: bool
    gap: bool
    reason: str
    since: int
    until: int

    @property
    def position(self) -> "DeliveryPosition":
        return self.at, self.log_partition, self.log_offset


DeliveryPosition = tuple[int, int, int]
"""Of a delivery in the list: time of the attempt, and where rev.deliveries has it."""


class LastUse(msgspec.Struct, frozen=True, gc=False):
    id: int
    at: int
