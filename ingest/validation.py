"""Validation: turns bodies into normalized meter events, refusing everything that can be refused without state.

Pure: the current time is passed in as ``now`` (ms UTC). The loop over a batch runs for every event
that Rev accepts, so the common path is short and the rest is moved out of it.
"""

import re
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import force_setattr

from ingest import plain_names
from ingest.bodies import MAX_REASON, BatchBody, EventBody, LooseBatchBody
from ingest.counts import counted
from ingest.error_messages import DecodeFailure, explain
from ingest.json_objects import json_object
from ingest.plain_names import is_often_plain, is_plain
from ingest.problems import Forbidden, Invalid
from schemas import times
from schemas.commands import MeterEvent
from schemas.labels import LABELS, labels_of
from schemas.limits import DAY, MAX_EVENTS, MAX_NAME, TIMESTAMP_AHEAD
from schemas.objects import iso
from schemas.raw_json import EMPTY
from schemas.replies import IndexedError
from schemas.reservations import number_of
from schemas.settings import MAX_TTL, spelled

CHARGE_ACTION = "outcome_charge"
"""The action under which outcome charges are shown; nobody may meter it."""

has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search
_decode_event = msgspec.json.Decoder(EventBody).decode
_decode_batch = msgspec.json.Decoder(BatchBody).decode
_decode_loose = msgspec.json.Decoder(LooseBatchBody).decode
MANY_OBJECTS = 10 * MAX_EVENTS
"""Number of ``{`` in a batch's body above which its events are counted before they are decoded.

8 KiB of gzip hold millions of ``{}``.
"""

NO_LABELS = dict.fromkeys(LABELS)


class TimeBounds:
    """The bounds for times: now in ms UTC, and how many ms a timestamp may lie back."""

    __slots__ = ("latest", "now", "oldest")

    def __init__(self, now: int, window: int) -> None:
        self.now = now
        self.oldest = now - window
        self.latest = now + TIMESTAMP_AHEAD


def decode(body: bytes | msgspec.Raw, decoder: Any, struct: type) -> Any:
    """Decode the body into its struct. Raises Invalid with an explanation."""
    try:
        return decoder(body)
    except DecodeFailure as error:
        raise Invalid(explain(error, memoryview(body), struct)) from None


def decode_event(body: bytes | msgspec.Raw) -> EventBody:
    """Decode the body of POST /v1/meter, or one event of a batch. Raises Invalid."""
    made: EventBody = decode(body, _decode_event, EventBody)
    return made


def decode_batch(body: bytes) -> BatchBody:
    """Decode the body of POST /v1/meter/batch. Raises Invalid with the errors of all its events."""
    if body.count(b"{") > MANY_OBJECTS:
        _count(body)
    try:
        batch = _decode_batch(body)
    except DecodeFailure as error:
        raise _batch_failure(error, body) from None
    if not batch.events:
        raise Invalid("events is required: a list of 1 to 1000 events")
    if len(batch.events) > MAX_EVENTS:
        raise _too_many(len(batch.events))
    return batch


def events_of(bodies: list[EventBody], customer_id: str, key: str | None, bounds: TimeBounds) -> list[MeterEvent]:
    """Return every event of a batch, normalized; ``key`` is the batch's own.

    Raises Invalid with the error of each event that has one.
    """
    made: list[MeterEvent] = []
    errors: list[IndexedError] = []
    append = made.append
    for index, body in enumerate(bodies):
        try:
            if body.customer_id is not None and body.customer_id != customer_id:
                raise Forbidden("customer_id must be the customer of this batch")
            append(event_of(body, f"{key}#{index}" if key is not None else None, bounds))
        except Invalid as error:
            errors.append(IndexedError(index, error.error))
    if errors:
        raise failed(errors)
    return made


def event_of(body: EventBody, key: str | None, bounds: TimeBounds) -> MeterEvent:
    """Return one event, normalized. ``key`` is its idempotency key unless it has its own.

    Raises Invalid naming the field.
    """
    agent_id, action = body.agent_id, body.action
    if agent_id is None:
        raise Invalid("agent_id is required")
    if action is None:
        raise Invalid("action is required")
    if not (is_often_plain(agent_id) and is_often_plain(action)):
        plain_names.check("agent_id", agent_id)
        plain_names.check("action", action)
    if action == CHARGE_ACTION:
        raise Invalid(f"action {CHARGE_ACTION!r} is reserved")
    tokens, part_in, part_out, others = counted(body)
    own = body.idempotency_key
    if own is not None:
        if not is_plain(own):
            plain_names.check("idempotency_key", own)
        key = own
    expires_at: int | None = None
    if body.expires_at is not None or body.on_expiry is not None:
        expires_at = _expiry(body, bounds, key)
    given, timestamp = body.metadata, body.timestamp
    event = MeterEvent(
        agent_id=agent_id,
        action=action,
        tokens=tokens,
        tokens_input=part_in,
        tokens_output=part_out,
        outcome=body.outcome,
        expires_at=expires_at,
        on_expiry=body.on_expiry,
        metadata=EMPTY if given is UNSET else json_object("metadata", given),
        idempotency_key=key,
        event_time=None if timestamp is None else _event_time(timestamp, bounds),
        quantities=others,
    )
    labels = labels_of(body)
    if labels != NO_LABELS:
        _label(event, labels)
    if body.reservation_id is not None:
        if number_of(body.reservation_id) is None:
            raise Invalid("reservation_id must be the id of a reservation, such as rs_65536")
        force_setattr(event, "reservation_id", body.reservation_id)
    return event


def header_key(given: list[str]) -> str | None:
    """Return the Idempotency-Key header. Raises Invalid."""
    if not given:
        return None
    if len(given) > 1:
        raise Invalid("Idempotency-Key is given twice")
    if not 1 <= len(given[0]) <= MAX_NAME or has_control(given[0]):
        raise Invalid(f"Idempotency-Key must have 1 to {MAX_NAME} characters and no control characters")
    plain_names.check("Idempotency-Key", given[0])
    return given[0]


def failed(errors: list[IndexedError]) -> Invalid:
    """Return the refusal of a batch with invalid events."""
    first = errors[0]
    return Invalid(f"events[{first.index}]: {first.error}; nothing of the batch was recorded", errors)


def expiry(text: str, now: int, repeats: int = 0) -> int:
    """Return an expires_at in ms that is after ``now`` and not too far away. Raises Invalid.

    ``repeats``: ms for which the request's key is remembered, 0 without one. An expires_at that long
    ago may be in the repeat of a request that came in time; only the pricer knows, and refuses it if
    it is not.
    """
    at = time_of("expires_at", text)
    if at <= now - repeats:
        raise Invalid("expires_at must be in the future")
    if at > now + MAX_TTL:
        raise Invalid(f"expires_at must be at most {MAX_TTL // DAY} days in the future")
    return at


def no_control(name: str, text: str | None) -> None:
    """Raise Invalid, naming the field, for text with control characters."""
    if text is not None and not text.isprintable():
        _no_control(name, text)


def checked_reason(given: str | None) -> str:
    """Return a reason as it is written. Raises Invalid."""
    if given is None:
        raise Invalid("reason is required")
    if not 1 <= len(given) <= MAX_REASON:
        raise Invalid(f"reason must have 1 to {MAX_REASON} characters")
    no_control("reason", given)
    return given


def _no_control(name: str, text: str) -> None:
    if has_control(text):
        raise Invalid(f"{name} must not contain control characters")


def _expiry(body: EventBody, bounds: TimeBounds, key: str | None) -> int | None:
    field = "expires_at" if body.expires_at is not None else "on_expiry"
    if body.outcome != "pending":
        raise Invalid(f"{field} is allowed only with outcome pending")
    if body.expires_at is None:
        return None
    return expiry(body.expires_at, bounds.now, 0 if key is None else bounds.now - bounds.oldest)


def _event_time(text: str, bounds: TimeBounds) -> int:
    at = time_of("timestamp", text)
    if at > bounds.latest:
        raise Invalid(f"timestamp must be at most 5 minutes in the future; the gateway's time is {iso(bounds.now)}")
    if at < bounds.oldest:
        raise Invalid(
            f"timestamp must be at most {spelled(bounds.now - bounds.oldest)} in the past; leave it out to count the"
            " event when it is accepted, and keep the time in metadata"
        )
    return at


def time_of(name: str, text: str) -> int:
    """Return a field's time in ms. Raises Invalid."""
    try:
        return times.parse(text)
    except times.TimeError as error:
        raise Invalid(f"{name} {error}") from None


def _label(event: MeterEvent, labels: dict[str, str | None]) -> None:
    """Set the labels of a new event, which nothing else refers to yet. Raises Invalid naming the field."""
    for name, text in labels.items():
        if text is not None:
            if not is_often_plain(text):
                plain_names.check(name, text)
            force_setattr(event, name, text)


def _too_many(count: int) -> Invalid:
    return Invalid(f"events must have 1 to {MAX_EVENTS} items, not {count}")


def _count(body: bytes) -> None:
    """Raise Invalid for too many events, and for a body that is not a batch."""
    batch: LooseBatchBody = decode(body, _decode_loose, BatchBody)
    if batch.events is not None and len(batch.events) > MAX_EVENTS:
        raise _too_many(len(batch.events))


def _batch_failure(error: Exception, body: bytes) -> Invalid:
    """Return every error of a batch that could not be decoded as a whole."""
    batch = decode(body, _decode_loose, BatchBody)
    events = batch.events or []
    if len(events) > MAX_EVENTS:
        return _too_many(len(events))
    errors: list[IndexedError] = []
    for index, raw in enumerate(events):
        try:
            decode_event(raw)
        except Invalid as invalid:
            errors.append(IndexedError(index, invalid.error.replace("the body", "the event")))
    return failed(errors) if errors else Invalid(explain(error, body, BatchBody))
