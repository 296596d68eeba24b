"""Lago: one event or a batch, as lago-python-client and lago-agent-sdk send them. Pure.

lago-agent-sdk sends an event for each kind of token, with the number in ``value``; TOKEN_CODES are its codes. What
another code of the same call already contains (BREAKDOWNS) is not counted.
"""

from collections import Counter
from http import HTTPStatus
from typing import Any

import msgspec

from ingest.dialects.dialect import (
    ClientResponse,
    Dialect,
    DialectRoute,
    Headers,
    MappedBody,
    MappedEvent,
    Recorded,
    bearer,
    decoded,
    each_of,
    listed,
    renamed,
)
from ingest.dialects.moments import iso_text
from ingest.dialects.properties import QUANTITIES, VALUE, fields_of, object_of, whole
from ingest.problems import Invalid, Problem

AGENT = "lago"
"""The agent of an event whose properties name none."""
TOKEN_CODES = {
    "llm_input_tokens": "tokens_input",
    "llm_output_tokens": "tokens_output",
    "llm_cached_input_tokens": "tokens_cache_read",
    "llm_cache_creation_tokens": "tokens_cache_write",
    "llm_reasoning_tokens": "tokens_reasoning",
}
BREAKDOWNS = frozenset({"llm_cache_write_5m_tokens", "llm_cache_write_1h_tokens"})
NOT_COUNTED = "llm_cache_creation_tokens includes it"
INVALID = 422


class LagoEvent(msgspec.Struct):
    """One event; what is not named here is ignored."""

    transaction_id: str | None = None
    external_subscription_id: str | None = None
    external_customer_id: str | None = None
    code: str | None = None
    timestamp: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    """Seconds, as a number or as text."""
    properties: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class SingleBody(msgspec.Struct):
    event: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ManyBody(msgspec.Struct):
    events: list[msgspec.Raw] | None = None


_decode_event = msgspec.json.Decoder(LagoEvent).decode
_decode_single = msgspec.json.Decoder(SingleBody).decode
_decode_many = msgspec.json.Decoder(ManyBody).decode
_encode = msgspec.json.Encoder().encode


def read_one(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST /events."""
    raw = decoded(body, _decode_single, SingleBody).event
    if raw is msgspec.UNSET:
        raise Invalid("event is required")
    return _mapped([raw], "event", single=True)


def read_many(headers: Headers, body: bytes) -> MappedBody:
    """Return the events of POST /events/batch."""
    return _mapped(listed(body, _decode_many, ManyBody, "events"), "events", single=False)


def _mapped(raws: list[msgspec.Raw], name: str, single: bool) -> MappedBody:
    shown: list[dict[str, Any]] = []
    ignored: Counter[str] = Counter()

    def read(raw: msgspec.Raw) -> MappedEvent | None:
        event: LagoEvent = decoded(raw, _decode_event, LagoEvent)
        counted = event.code not in BREAKDOWNS
        mapped = MappedEvent(_fields(event)) if counted else None
        ignored[NOT_COUNTED] += not counted
        shown.append(_shown(event))
        return mapped

    def respond(recorded: Recorded) -> ClientResponse:
        return ClientResponse(200, _encode({name: shown[0] if single else shown}))

    return MappedBody(each_of(raws, read), respond, +ignored)


def _fields(event: LagoEvent) -> dict[str, Any]:
    for name in ("transaction_id", "code"):
        if not getattr(event, name):
            raise Invalid(f"{name} is required")
    customer = event.external_subscription_id or event.external_customer_id
    if not customer:
        raise Invalid("external_subscription_id is required")
    assert event.code is not None
    fields = {"agent_id": AGENT, **fields_of(object_of("properties", event.properties), "properties")}
    fields.update(action=event.code, customer_id=customer, idempotency_key=event.transaction_id)
    at = _time(event)
    if at is not None:
        fields["timestamp"] = at
    kind = TOKEN_CODES.get(event.code)
    quantities = fields.get(QUANTITIES, {})
    if kind is not None and VALUE in quantities:
        fields.setdefault(kind, whole(quantities.pop(VALUE)))
        if not quantities:
            del fields[QUANTITIES]
    return fields


def _shown(event: LagoEvent) -> dict[str, Any]:
    """Return the event as the response repeats it; the client reads its timestamp as text."""
    shown: dict[str, Any] = {
        "transaction_id": event.transaction_id,
        "external_subscription_id": event.external_subscription_id or event.external_customer_id,
        "code": event.code,
        "timestamp": _time(event) or "",
    }
    if event.properties is not msgspec.UNSET:
        shown["properties"] = event.properties
    return shown


def _time(event: LagoEvent) -> str | None:
    if event.timestamp is msgspec.UNSET or bytes(event.timestamp) == b"null":
        return None
    return iso_text("timestamp", bytes(event.timestamp).decode("utf-8", "replace").strip('"'))


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return Lago's error. An event that can never be accepted is a 422, which its clients do not repeat."""
    status = INVALID if problem.status in (400, 409) else problem.status
    shown: dict[str, Any] = {"status": status, "error": HTTPStatus(status).phrase}
    if status == INVALID:
        details: dict[str, Any] = {str(one.index): {"event": [renamed(one.error, NAMES)]} for one in problem.errors}
        shown |= {"code": "validation_errors", "error_details": details or {"event": [problem.error]}}
    else:
        shown |= {"code": problem.code, "message": problem.error}
    return ClientResponse(status, _encode(shown))


NAMES = {
    "action": "code",
    "customer_id": "external_subscription_id",
    "idempotency_key": "transaction_id",
    "metadata": "properties",
    "agent_id": "properties.agent_id",
}
LAGO = Dialect(
    name="lago",
    product="Lago",
    set_up="Client(api_url='{url}/lago/', api_key='rg_…'); lago-agent-sdk: api_url='{url}/lago/api/v1'",
    key_header="Authorization: Bearer rg_…",
    secret=bearer,
    refusal=_refusal,
    routes=(
        DialectRoute("/lago/api/v1/events", "Record the event that a Lago client sends.", read_one),
        DialectRoute("/lago/api/v1/events/batch", "Record the events that a Lago client sends.", read_many),
    ),
    names=NAMES,
)
