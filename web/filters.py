"""The filters of lists, as a URL holds them: parsed strictly, and written back. Pure; times in ms.

A form sends every field, so an empty value is no filter.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import get_args
from urllib.parse import urlencode

from schemas.commands import EventOutcome
from schemas.limits import MAX_NAME
from schemas.objects import iso
from warehouse.activity_rows import BOTH, CLOSED, LIVE, OPEN, TEST, EventSearch, OutcomeSearch, OutcomeState
from warehouse.rows import MAX_ID, AuditFilter
from warehouse.time_range import EVER, LAST, TimeRange
from web.web_refusals import invalid

Given = Mapping[str, str]
EVENT_NAMES = (
    *("customer", "agent", "action", "model", "provider", "task_id", "trace_id", "metadata"),
    *("idempotency_key", "import_id"),
)
OUTCOMES: tuple[str, ...] = get_args(EventOutcome)
STATUSES = ("priced", "rejected", "voided")
MODES = {"live": LIVE, "test": TEST, "both": BOTH}
STATES: dict[str, tuple[OutcomeState, ...]] = {
    "open": OPEN,
    "closed": CLOSED,
    "succeeded": ("succeeded",),
    "failed": ("failed",),
    "expired": ("expired",),
}
"""What the status of an outcome may be filtered by."""
EVENT_FILTERS = (*EVENT_NAMES, "outcome", "status", "mode", "from", "to")
OUTCOME_FILTERS = ("customer", "agent", "task_id", "status", "mode")
AUDIT_FILTERS = ("about", "customer", "actor")
ABOUT = {
    "key": "API keys",
    "pricing": "prices",
    "customer": "customers",
    "webhook": "webhooks",
    "credit": "credit",
    "budget": "budgets",
    "billing_anchor": "billing",
    "signup": "sign-ups",
    "meter": "voids",
    "reservation": "reservations",
}
"""What a change may be about: the first part of its type."""
CURSOR = "after"
"""The parameter that holds the position that a page comes after."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_POSITION = re.compile(r"(-?[0-9]{1,13})\.([0-9]{1,16})", re.ASCII)


def event_search(given: Given, limit: int) -> EventSearch:
    """Return the search of a URL. Raises Refusal naming the parameter."""
    return EventSearch(
        **{key: name(given, key) for key in EVENT_NAMES},
        outcome=choice(given, "outcome", OUTCOMES),
        status=choice(given, "status", STATUSES),
        tests=_mode(given),
        time=_time_range(given),
        before=_position(given) or (LAST, MAX_ID),
        limit=limit,
    )


def outcome_search(given: Given, now: int, limit: int) -> OutcomeSearch:
    """Return the search of a URL; ``now`` in ms. Raises Refusal naming the parameter."""
    return OutcomeSearch(
        now=now,
        states=STATES[choice(given, "status", tuple(STATES)) or "open"],
        customer=name(given, "customer"),
        agent=name(given, "agent"),
        task_id=name(given, "task_id"),
        tests=_mode(given),
        after=_position(given) or (-LAST, 0),
        limit=limit,
    )


def audit_filter(given: Given) -> AuditFilter:
    """Return the choice of a URL; reservations, which events make by themselves, only if they are asked for.

    Raises Refusal naming the parameter.
    """
    about = choice(given, "about", tuple(ABOUT))
    return AuditFilter(about, "" if about else "reservation", name(given, "customer"), name(given, "actor"))


def query_string(given: Given, **changes: str) -> str:
    """Return the URL's query with some parameters changed; what is empty is left out."""
    return urlencode({key: value for key, value in {**given, **changes}.items() if value})


def position(first: int, id: int) -> str:
    """Return the text of a position in a list."""
    return f"{first}.{id}"


def name(given: Given, key: str) -> str:
    """Return a filter on a name; '' without one. Raises Refusal."""
    text = given.get(key, "")
    if len(text) > MAX_NAME or _CONTROL.search(text):
        raise invalid(f"{key} must have at most {MAX_NAME} characters and no control characters")
    return text


def choice(given: Given, key: str, values: Sequence[str]) -> str:
    """Return one of a few words; '' without one. Raises Refusal."""
    text = given.get(key, "")
    if text and text not in values:
        raise invalid(f"{key} must be one of {', '.join(values)}, not {text[:100]!r}")
    return text


def moment(given: Given, key: str) -> int | None:
    """Return a time in ms; UTC if it has no offset. None without one. Raises Refusal."""
    text = given.get(key, "")
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid(f"{key} must be an ISO 8601 time such as 2026-04-26T12:00, not {text[:100]!r}") from error
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def field_value(at: int | None) -> str:
    """Return a time as a field of type datetime-local holds it, in UTC."""
    return "" if at is None else iso(at).removesuffix("Z").removesuffix(".000").removesuffix(":00")


def _mode(given: Given) -> tuple[int, ...]:
    return MODES[choice(given, "mode", tuple(MODES)) or "live"]


def _time_range(given: Given) -> TimeRange:
    start, end = moment(given, "from"), moment(given, "to")
    found = TimeRange(EVER.start if start is None else start, EVER.end if end is None else end)
    if found.start > found.end:
        raise invalid("from must not be after to")
    return found


def _position(given: Given) -> tuple[int, int] | None:
    text = given.get(CURSOR, "")
    if not text:
        return None
    found = _POSITION.fullmatch(text)
    if found is None or int(found[2]) > MAX_ID:
        raise invalid(f"{CURSOR} must be a position that a link of this list has, not {text[:100]!r}")
    return int(found[1]), int(found[2])
