"""Stripe's meter events: v1 as a form, v2 as JSON. Pure.

The ``identifier`` is the idempotency key; without one, the Idempotency-Key header, which Stripe's clients send with
each call and keep when they repeat it.
"""

import re
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ingest.dialects.dialect import (
    ClientResponse,
    Dialect,
    DialectRoute,
    Headers,
    MappedBody,
    MappedEvent,
    Recorded,
    basic_user,
    bearer,
    decoded,
    without_prefix,
)
from ingest.dialects.moments import iso_text
from ingest.dialects.properties import fields_of, object_of, text_of
from ingest.problems import Invalid, Problem
from schemas.objects import iso

AGENT = "stripe"
"""The agent of an event whose payload names none."""
CUSTOMER = "stripe_customer_id"
FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 1000
_PAYLOAD = re.compile(r"payload\[([^\[\]]+)\]")


class StripeEvent(msgspec.Struct):
    """One meter event; what is not named here is ignored."""

    event_name: str | None = None
    identifier: str | None = None
    timestamp: int | str | None = None
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(StripeEvent).decode
_encode = msgspec.json.Encoder().encode


def read_form(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST /v1/billing/meter_events."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise Invalid(f"the body must be a form in UTF-8 of at most {MAX_FIELDS} fields") from None
    fields = dict(pairs)
    payload = {found[1]: text for name, text in pairs if (found := _PAYLOAD.fullmatch(name))}
    event = StripeEvent(
        event_name=fields.get("event_name"),
        identifier=fields.get("identifier"),
        timestamp=fields.get("timestamp"),
        payload=msgspec.Raw(_encode(payload)),
    )
    return _mapped(headers, event, version=1)


def read_json(headers: Headers, body: bytes) -> MappedBody:
    """Return the event of POST /v2/billing/meter_events."""
    return _mapped(headers, decoded(body, _decode, StripeEvent), version=2)


def _mapped(headers: Headers, event: StripeEvent, version: int) -> MappedBody:
    if not event.event_name:
        raise Invalid("event_name is required")
    payload = dict(object_of("payload", event.payload))
    customer = text_of(payload.pop(CUSTOMER, None))
    if not customer:
        raise Invalid(f"payload.{CUSTOMER} is required")
    fields = {"agent_id": AGENT, **fields_of(payload, "payload")}
    fields.update(action=event.event_name, customer_id=customer)
    key = event.identifier or headers.get("Idempotency-Key")
    if key:
        fields["idempotency_key"] = key
    if event.timestamp is not None:
        fields["timestamp"] = iso_text("timestamp", event.timestamp)
    at = fields.get("timestamp")

    def respond(recorded: Recorded) -> ClientResponse:
        now: Any = iso(recorded.now) if version == 2 else recorded.now // 1000
        shown = {
            "object": "v2.billing.meter_event" if version == 2 else "billing.meter_event",
            "created": now,
            "event_name": event.event_name,
            "identifier": key or "",
            "livemode": not recorded.test,
            "payload": event.payload,
            "timestamp": (at or now) if version == 2 else _seconds(event.timestamp, recorded.now),
        }
        return ClientResponse(200, _encode(shown))

    return MappedBody([MappedEvent(fields)], respond)


def _seconds(given: int | str | None, now: int) -> int:
    text = "" if given is None else str(given)
    return int(text) if text.isdecimal() and text.isascii() else now // 1000


def _secret(headers: Headers) -> str | None:
    """Return the key of a Bearer header, or a Basic one as in Stripe's curl examples; sk_test_ may precede it."""
    given = basic_user(headers)
    return without_prefix(bearer(headers) if given is None else given[0])


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return Stripe's error. Its clients repeat every 409, so a conflict, which stays one, is a 400 here."""
    status = 400 if problem.status == 409 else problem.status
    again = status in (429, 503)
    kind = "api_error" if status >= 500 else "idempotency_error" if problem.status == 409 else "invalid_request_error"
    error: dict[str, Any] = {"type": kind, "message": problem.error}
    if status == 429:
        error["code"] = "rate_limit"
    return ClientResponse(
        status, _encode({"error": error}), headers={"Stripe-Should-Retry": "true" if again else "false"}
    )


STRIPE = Dialect(
    name="stripe",
    product="Stripe (meter events)",
    set_up="StripeClient('rg_…', base_addresses={'api': '{url}/stripe', 'meter_events': '{url}/stripe'})",
    key_header="Authorization: Bearer rg_…",
    secret=_secret,
    refusal=_refusal,
    routes=(
        DialectRoute(
            "/stripe/v1/billing/meter_events",
            "Record the meter event that a Stripe client sends.",
            read_form,
            media_types=(FORM,),
        ),
        DialectRoute(
            "/stripe/v2/billing/meter_events", "Record the meter event that a Stripe client sends as JSON.", read_json
        ),
    ),
    names={
        "action": "event_name",
        "customer_id": f"payload.{CUSTOMER}",
        "idempotency_key": "identifier",
        "metadata": "payload",
        "agent_id": "payload.agent_id",
    },
)
