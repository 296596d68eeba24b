"""Strict parsing of query parameters: an unknown name or value is refused and named. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple, get_args

from ingest.import_ids import import_id_of
from ingest.problems import Invalid
from ingest.reads import cursors
from schemas import times
from schemas.commands import EventOutcome
from schemas.entries import Verdict
from schemas.limits import DEFAULT_LIST, MAX_LIST, MAX_NAME
from warehouse.rows import MAX_ID, EventQuery, ImportQuery, ImportRow, OutcomeQuery, UsageKey, UsageQuery
from warehouse.time_range import CUSTOM, DEFAULT_PERIOD, EVER, PERIODS, TimeRange, named, since

GROUPS: dict[str, UsageKey] = {"day": "day", "hour": "hour", "agent": "agent_id", "action": "action", "model": "model"}
"""The ledger's key for each value of group_by."""
COMPONENTS = {"component": False, "component_model": True}
"""Values of group_by for sums by component, and whether they are by model, too."""
OUTCOMES: tuple[str, ...] = get_args(EventOutcome)
STATUSES = ("pending", *get_args(Verdict))
EVENTS, AUDIT, OUTCOME_LIST, IMPORTS = "events", "audit", "outcomes", "imports"
"""The lists that a cursor can belong to."""
NO_CURSOR = "cursor must be a next_cursor that this list returned"


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNESCAPED_PLUS = re.compile(r" (\d\d:?\d\d)$")

Given = Mapping[str, str]
"""Parameters by name; ingest.request_body.query_of has checked that the names are known."""


class UsageRequest(NamedTuple):
    """The request of GET /v1/usage. ``group`` as in group_by, None without one."""

    query: UsageQuery
    period: str
    group: str | None


class AuditRequest(NamedTuple):
    before: tuple[int, int]
    limit: int


def event_query(given: Given, customer: str, test: bool) -> EventQuery:
    """Return the query of GET /v1/events. Raises Invalid."""
    most = cursor(given, EVENTS, 1)
    return EventQuery(
        customer,
        test=test,
        agent=name(given, "agent_id"),
        action=name(given, "action"),
        outcome=choice(given, "outcome", OUTCOMES) or "",
        idempotency_key=name(given, "idempotency_key"),
        import_id=import_id_of(given.get("import_id")) or "",
        time=_list_range(given),
        at_most=MAX_ID if most is None else most[0] - 1,
        limit=limit(given),
    )


def import_query(given: Given, customer: str, test: bool) -> ImportQuery:
    """Return the query of GET /v1/imports; ``customer`` '' means all. Raises Invalid."""
    query = ImportQuery(customer, test, import_id_of(given.get("import_id")) or "", limit=limit(given))
    if "cursor" not in given:
        return query
    try:
        at, name = cursors.decode_named(IMPORTS, given["cursor"])
        import_id, _, customer_hex = name.partition("/")
        return query._replace(before=(at, import_id, bytes.fromhex(customer_hex).decode()))
    except ValueError as error:
        raise Invalid(NO_CURSOR) from error


def import_cursor(last: ImportRow) -> str:
    """Return the cursor of the page after this row."""
    return cursors.encode_named(IMPORTS, last.last, f"{last.import_id}/{last.customer_id.encode().hex()}")


def outcome_query(given: Given, customer: str, test: bool, now: int) -> OutcomeQuery:
    """Return the query of GET /v1/outcomes; ``now`` in ms. Raises Invalid."""
    most = cursor(given, OUTCOME_LIST, 1)
    return OutcomeQuery(
        customer,
        now,
        test=test,
        agent=name(given, "agent_id"),
        status=choice(given, "status", STATUSES) or "",
        time=_list_range(given),
        at_most=MAX_ID if most is None else most[0] - 1,
        limit=limit(given),
    )


def usage_request(given: Given, customer: str, test: bool, now: int) -> UsageRequest:
    """Return the request of GET /v1/usage; ``now`` in ms. Raises Invalid."""
    period, time = _usage_range(given, now)
    query = UsageQuery(
        customer, test, time, agent=name(given, "agent_id"), action=name(given, "action"), model=name(given, "model")
    )
    return UsageRequest(query, period, choice(given, "group_by", (*GROUPS, *COMPONENTS)))


def audit_request(given: Given) -> AuditRequest:
    """Return the request of GET /api/admin/audit. Raises Invalid."""
    before = cursor(given, AUDIT, 2)
    return AuditRequest((EVER.end, 0) if before is None else (before[0], before[1]), limit(given))


def name(given: Given, key: str) -> str:
    """Return a filter on a name; '' when it is not given. Raises Invalid."""
    if key not in given:
        return ""
    if not 1 <= len(given[key]) <= MAX_NAME or _CONTROL.search(given[key]):
        raise Invalid(f"{key} must have 1 to {MAX_NAME} characters and no control characters")
    return given[key]


def choice(given: Given, key: str, values: tuple[str, ...]) -> str | None:
    """Return one of a few words; None when it is not given. Raises Invalid."""
    value = given.get(key)
    if value is not None and value not in values:
        raise Invalid(f"{key} must be one of {', '.join(values)}, not {value[:MAX_NAME]!r}")
    return value


def limit(given: Given) -> int:
    """Return the maximum number of rows of a list. Raises Invalid."""
    text = given.get("limit", str(DEFAULT_LIST))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_LIST:
        raise Invalid(f"limit must be an integer from 1 to {MAX_LIST}")
    return int(text)


def cursor(given: Given, kind: str, length: int) -> tuple[int, ...] | None:
    """Return the position in a list's cursor; None for the first page. Raises Invalid."""
    if "cursor" not in given:
        return None
    try:
        position = cursors.decode(kind, given["cursor"], length)
    except cursors.BadCursor as error:
        raise Invalid(NO_CURSOR) from error
    if position[-1] > MAX_ID or position[0] < 1:
        raise Invalid(NO_CURSOR)
    return position


def time(given: Given, key: str) -> int | None:
    """Return a time with an offset in ms since the epoch; None when it is not given. Raises Invalid."""
    if key not in given:
        return None
    # a + that was not escaped in the URL arrives as a blank
    text = _UNESCAPED_PLUS.sub(r"+\1", given[key])
    try:
        return times.parse(text)
    except times.TimeError as error:
        raise Invalid(f"{key} {error}") from error


def _list_range(given: Given) -> TimeRange:
    start, end = time(given, "from"), time(given, "to")
    return _ordered(TimeRange(EVER.start if start is None else start, EVER.end if end is None else end))


def _usage_range(given: Given, now: int) -> tuple[str, TimeRange]:
    period = choice(given, "period", tuple(PERIODS))
    start, end = time(given, "from"), time(given, "to")
    if start is None and end is None:
        return period or DEFAULT_PERIOD, named(period or DEFAULT_PERIOD, now)
    if period is not None:
        raise Invalid("period must not be combined with from or to")
    if start is None:
        raise Invalid("from is required with to")
    return CUSTOM, _ordered(since(start, end, now), from_only=end is None)


def _ordered(found: TimeRange, from_only: bool = False) -> TimeRange:
    if found.start > found.end:
        raise Invalid("from must not be in the future" if from_only else "from must not be after to")
    return found
