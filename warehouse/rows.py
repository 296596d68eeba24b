"""The rows that the named queries (sql/*.sql) return, and their parameters.

Field names are the column names of the query. Money and sums of tokens are decimal text,
since they can exceed 64 bits; times are ms since the epoch, UTC.
"""

from typing import Literal, NamedTuple

import msgspec

from schemas.entries import EntryKind
from schemas.funding import Draw
from schemas.ids import MAX_OFFSET
from schemas.labels import RowLabels
from schemas.limits import MAX_LIST
from schemas.quantities import Line, QuantityRate
from warehouse.time_range import EVER, TimeRange

MAX_ID = (MAX_OFFSET << 16) | 0xFFFF
UsageKey = Literal["action", "agent_id", "model", "hour", "day"]
EVERY = 2**32 - 1
"""More than the number of names in any total."""


class _Row(RowLabels, frozen=True, gc=False):
    """The common fields of event rows and rows of other entries."""

    event_id: int
    customer_id: str
    agent_id: str
    action: str
    tokens: int
    tokens_input: int | None
    tokens_output: int | None
    quantities: dict[str, str]
    outcome: str
    base: str
    token: str
    bonus: str
    quantity: str
    total: str
    lines: list[Line]
    credit: str | None
    budgets_exceeded: list[int]
    price_id: int
    price_action: str
    price_model: str
    price_provider: str
    price_base: str
    price_token: str
    price_bonus: str
    price_rates: list[QuantityRate]
    price_ignore_unknown: bool
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
    """A meter event in the ledger: priced, or rejected after it was accepted."""

    kind: Literal["event", "rejected"]


class EntryRow(_Row, frozen=True, gc=False):
    """An entry of any kind with all its fields."""

    kind: EntryKind
    api_key_id: int
    draws: list[Draw]
    on_expiry: str
    detail: str


class OutcomeRow(msgspec.Struct, frozen=True, gc=False):
    """The opening of an outcome.

    A registration, whose ``detail`` is the outcome as it opened, or a pending event, whose bonus is the
    price on success.
    """

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
    """The closing of the outcome that ``original`` opened; ``detail``: the outcome as it ended."""

    original: int
    event_id: int
    kind: Literal["charge", "waived"]
    detail: str


class TaskCustomer(msgspec.Struct, frozen=True, gc=False):
    customer_id: str


class EventQuery(NamedTuple):
    """A query for events of one customer, newest first; '' and None mean any."""

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
    """A query for imports of one customer and mode, the most recently extended first; '' means any.

    ``before``: a position in that order, (ms, import_id, customer_id).
    """

    customer: str
    test: bool
    import_id: str = ""
    before: tuple[int, str, str] = (EVER.end, "", "")
    limit: int = 50


class OutcomeQuery(NamedTuple):
    """A query for outcomes of one customer, the last opened first; '' and None mean any.

    ``now`` in ms: open outcomes count as expired from their expires_at on.
    """

    customer: str
    now: int
    test: bool | None = None
    agent: str = ""
    status: str = ""
    time: TimeRange = EVER
    at_most: int = MAX_ID
    limit: int = 50


class UsageQuery(NamedTuple):
    """The entries that a total covers; '' means any. ``test``: the test entries or the others."""

    customer: str
    test: bool
    time: TimeRange
    agent: str = ""
    action: str = ""
    model: str = ""
    top: int = MAX_LIST
    """Names that get a row of their own; the rest, possibly millions, share one."""

    def ranks(self, key: UsageKey) -> int:
        """Return how many names get a row. Hours and days all get one, since the period bounds their number."""
        return EVERY if key in ("hour", "day") else self.top


class UsageSumRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of the entries with one ``name``: an agent, an action, a model, an hour or a day
    (``2026-04-26 12:00:00``); or of the ``others`` names that have no row of their own.

    Voids are already subtracted. ``active``: how many of these names have events left.
    """

    name: str
    others: int
    active: int
    events: int
    charges: int
    tokens: str
    total: str
    charged: str
    """The part of ``total`` from outcome charges."""


MAX_COMPONENTS = 10_000
"""Maximum rows of sums by component."""


class ComponentSumRow(msgspec.Struct, frozen=True, gc=False):
    """What one component of prices cost, of one ``model`` if asked by model: units and cents, less voided ones.

    ``entries``: how many entries have it, less voided ones; an adjustment counts none.
    """

    component: str
    model: str
    quantity: str
    total: str
    entries: int


class ImportRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of an import.

    ``first`` and ``last``: when its first and last event were accepted. ``voided``: how many of its events were
    voided. ``cents``: the sum without voids. ``taken``: the sum of the voids alone.
    """

    customer_id: str
    import_id: str
    first: int
    last: int
    events: int
    voided: int
    cents: str
    taken: str


class VoidedRow(msgspec.Struct, frozen=True, gc=False):
    """The void of the entry ``original``, with its reason."""

    original: int
    reason: str


class Amount(msgspec.Struct, frozen=True, gc=False):
    total: str


class Number(msgspec.Struct, frozen=True, gc=False):
    number: int


class Reached(msgspec.Struct, frozen=True, gc=False):
    """Highest offsets of one partition that have a row in the ledger; -1: none."""

    raw: int
    entries: int


class AuditFilter(NamedTuple):
    """A part of the audit trail; '' means any. ``about``: the first part of types; ``without``: one to leave out."""

    about: str = ""
    without: str = ""
    customer: str = ""
    actor: str = ""


EVERYTHING = AuditFilter()


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """One configuration change or one void; ``type``: the domain event."""

    event_id: int
    type: str
    actor: str
    detail: str
    recorded_at: int


class DeliveryRow(msgspec.Struct, frozen=True, gc=False):
    """An attempt at a webhook delivery, or a gap, from rev._deliveries (schemas.deliveries).

    (``at``, ``log_partition``, ``log_offset``) is its position in the list. Times are ms.
    """

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
"""The position of a delivery in the list: time of the attempt, and its partition and offset in rev.deliveries."""


class LastUse(msgspec.Struct, frozen=True, gc=False):
    id: int
    at: int
