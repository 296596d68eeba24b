"""The rows of the queries about single events, agents, actions and outcomes (sql/queries/activity_*.sql).

As in warehouse.rows: money and sums of tokens are decimal text, times are ms since the epoch, UTC.
"""

from typing import Literal, NamedTuple

import msgspec

from schemas.entries import Verdict
from warehouse.dashboard_rows import RankKey
from warehouse.rows import MAX_ID, EntryRow
from warehouse.time_range import EVER, LAST, TimeRange

LIVE, TEST, BOTH = (0,), (1,), (0, 1)
"""Which entries a query covers: those that count, those made with test keys, or both."""
OutcomeState = Literal["pending", "succeeded", "failed", "expired"]
OPEN: tuple[OutcomeState, ...] = ("pending",)
CLOSED: tuple[OutcomeState, ...] = ("succeeded", "failed", "expired")


class FullEntryRow(EntryRow, frozen=True, gc=False):
    """An entry with what only its page shows. ``original``: the event id of the entry that it refers to."""

    verdict: Verdict | Literal[""]
    price_on_success: str
    price_on_failure: str
    original: int | None
    config_type: str
    actor: str
    entries_offset: int


class PriceSetRow(msgspec.Struct, frozen=True, gc=False):
    """When and by whom a price was set; ``customer``: whose it is, '' for a default price. ``detail``: JSON text of
    the record, as the API shows it."""

    at: int
    actor: str
    customer: str
    detail: str


class EntryText(msgspec.Struct, frozen=True, gc=False):
    """A row of rev.entries as JSON text, every column in it."""

    text: str


class ComparedRow(msgspec.Struct, frozen=True, gc=False):
    """Sums of one name in a period. ``before``: its total in the period before.

    ``ended``: verdicts, of which ``succeeded`` were successes.
    """

    name: str
    events: int
    charges: int
    token_sum: str
    total: str
    before: str
    succeeded: int
    ended: int


class ComponentRow(msgspec.Struct, frozen=True, gc=False):
    """What a component of prices earned: ``units`` of it, less voided ones, and their total."""

    component: str
    units: str
    total: str


class OutcomeStateRow(msgspec.Struct, frozen=True, gc=False):
    """An outcome as it stands. ``charge``: what it cost, None while open; ``revenue``: the same less a void.

    ``place``: its position in the list. ``detail``: the outcome as JSON; empty for a pending event that is open.
    """

    outcome_id: str
    customer_id: str
    task_id: str
    agent_id: str
    action: str
    opened_by: Literal["registered", "event"]
    event_id: int
    on_expiry: str
    voided: bool
    closed_by: int | None
    detail: str
    test: bool
    on_success: str
    on_failure: str
    charge: str | None
    revenue: str
    opened: int
    due: int
    ended: int | None
    state: OutcomeState
    place: int


class EventSearch(NamedTuple):
    """A search for events, newest first; '' means any. ``status``: priced, rejected or voided. ``metadata``: a text
    that the sender's metadata contains.

    ``before``: the position (accepted time in ms, event id) that the page comes after.
    """

    customer: str = ""
    agent: str = ""
    action: str = ""
    model: str = ""
    provider: str = ""
    task_id: str = ""
    trace_id: str = ""
    metadata: str = ""
    outcome: str = ""
    status: str = ""
    idempotency_key: str = ""
    import_id: str = ""
    tests: tuple[int, ...] = LIVE
    time: TimeRange = EVER
    before: tuple[int, int] = (LAST, MAX_ID)
    limit: int = 50


class OutcomeSearch(NamedTuple):
    """A search for outcomes; '' means any. ``now`` in ms. ``after``: the position that the page comes after."""

    now: int
    states: tuple[OutcomeState, ...] = (*OPEN, *CLOSED)
    customer: str = ""
    agent: str = ""
    task_id: str = ""
    outcome_id: str = ""
    tests: tuple[int, ...] = LIVE
    after: tuple[int, int] = (-LAST, 0)
    limit: int = 50


class SumsQuery(NamedTuple):
    """A query for sums by key of ``time``, and of ``before`` to compare with; '' means any agent or action."""

    key: RankKey
    time: TimeRange
    before: TimeRange
    most: int
    agent: str = ""
    action: str = ""
