"""OpenMeter: CloudEvents, one or many in a request. The response is always a 204 without a body. Pure.

``source`` and ``id`` identify an event, as CloudEvents say: together they are its idempotency key.
"""

from hashlib import sha256
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
)
from ingest.dialects.properties import fields_of, object_of
from ingest.plain_names import is_plain
from ingest.problems import Invalid, Problem
from schemas.limits import MAX_NAME

PROBLEM = "application/problem+json"


class CloudEvent(msgspec.Struct):
    """One event; what is not named here is ignored."""

    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    time: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode_one = msgspec.json.Decoder(CloudEvent).decode
_decode_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def read(headers: Headers, body: bytes) -> MappedBody:
    """Return the events of a body: one CloudEvent, or a list of them."""
    if body.lstrip()[:1] == b"[":
        return MappedBody(each_of(decoded(body, _decode_many, list), _mapped), _no_content)
    return MappedBody([_mapped(body)], _no_content)


def key_of(source: str, id: str) -> str:
    """Return the idempotency key: source and id with a blank between them, or a hash where that is no key.

    A source is a URI reference and has no blanks, so no two pairs have the same key.
    """
    key = f"{source} {id}"
    if " " not in source and len(key) <= MAX_NAME and is_plain(key):
        return key
    return "sha256:" + sha256(_encode([source, id])).hexdigest()


def _mapped(raw: msgspec.Raw | bytes) -> MappedEvent:
    return MappedEvent(_fields(decoded(raw, _decode_one, CloudEvent)))


def _fields(event: CloudEvent) -> dict[str, Any]:
    for name in ("id", "source", "type", "subject"):
        if not getattr(event, name):
            raise Invalid(f"{name} is required")
    assert event.source is not None and event.id is not None
    fields = {"agent_id": event.source, **fields_of(object_of("data", event.data), "data")}
    fields.update(action=event.type, customer_id=event.subject, idempotency_key=key_of(event.source, event.id))
    if event.time is not None:
        fields["timestamp"] = event.time
    return fields


def _no_content(recorded: Recorded) -> ClientResponse:
    return ClientResponse(204)


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return an RFC 9457 problem, as OpenMeter's server does. Its clients repeat 408, 429 and 5xx."""
    status = HTTPStatus(problem.status)
    shown: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": problem.status,
        "detail": problem.error,
    }
    if problem.errors:
        errors = [{"index": one.index, "message": one.error} for one in problem.errors]
        shown["extensions"] = {"validationErrors": errors}
    return ClientResponse(problem.status, _encode(shown), PROBLEM)


OPENMETER = Dialect(
    name="openmeter",
    product="OpenMeter (CloudEvents)",
    set_up="Client(endpoint='{url}/openmeter', token='rg_…')",
    key_header="Authorization: Bearer rg_…",
    secret=bearer,
    refusal=_refusal,
    routes=(
        DialectRoute(
            "/openmeter/api/v1/events", "Record the CloudEvents that an OpenMeter client sends.", read, statuses=(204,)
        ),
    ),
    names={
        "action": "type",
        "customer_id": "subject",
        "timestamp": "time",
        "idempotency_key": "id",
        "metadata": "data",
    },
)
