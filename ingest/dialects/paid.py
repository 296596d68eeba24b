"""Paid: signals and costs, many in a request. Pure.

A signal is a meter event. A cost is what the sender pays, not what its customer owes: it is accepted, so that clients
go on, and counts nothing.
"""

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
    Refusals,
    bearer,
    decoded,
    each_of,
    listed,
    renamed,
)
from ingest.dialects.properties import fields_of, object_of
from ingest.problems import Invalid, Problem

AGENT = "paid"
"""The agent of a signal that names no product."""
COSTS = "a cost is what the sender pays, not what a customer owes"


class Who(msgspec.Struct, rename="camel"):
    """A customer or a product, by the sender's own id or by Paid's."""

    external_customer_id: str | None = None
    customer_id: str | None = None
    external_product_id: str | None = None
    product_id: str | None = None


class Signal(msgspec.Struct, rename="camel"):
    """One signal; what is not named here is ignored."""

    event_name: str | None = None
    customer: Who | None = None
    attribution: Who | None = None
    timestamp: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    idempotency_key: str | None = None


class SignalsBody(msgspec.Struct):
    signals: list[msgspec.Raw] | None = None


class CostsBody(msgspec.Struct):
    costs: list[msgspec.Raw] | None = None


_decode_signal = msgspec.json.Decoder(Signal).decode
_decode_signals = msgspec.json.Decoder(SignalsBody).decode
_decode_costs = msgspec.json.Decoder(CostsBody).decode
_encode = msgspec.json.Encoder().encode


def read_signals(headers: Headers, body: bytes) -> MappedBody:
    """Return the signals of POST /signals/bulk."""
    raws = listed(body, _decode_signals, SignalsBody, "signals")
    return MappedBody(each_of(raws, _signal, "signal"), _counts)


def read_costs(headers: Headers, body: bytes) -> MappedBody:
    """Return no event: the costs of POST /costs/bulk are not counted."""
    raws = listed(body, _decode_costs, CostsBody, "costs")

    def respond(recorded: Recorded) -> ClientResponse:
        return ClientResponse(200, _encode({"ingested": len(raws), "duplicates": 0}))

    return MappedBody([], respond, {COSTS: len(raws)})


def _signal(raw: msgspec.Raw) -> MappedEvent:
    return MappedEvent(_fields(decoded(raw, _decode_signal, Signal)))


def _fields(signal: Signal) -> dict[str, Any]:
    if not signal.event_name:
        raise Invalid("eventName is required")
    customer = signal.customer and (signal.customer.external_customer_id or signal.customer.customer_id)
    if not customer:
        raise Invalid("customer.externalCustomerId is required")
    product = signal.attribution and (signal.attribution.external_product_id or signal.attribution.product_id)
    fields = {"agent_id": product or AGENT, **fields_of(object_of("data", signal.data), "data")}
    fields.update(action=signal.event_name, customer_id=customer)
    if signal.idempotency_key is not None:
        fields["idempotency_key"] = signal.idempotency_key
    if signal.timestamp is not None:
        fields["timestamp"] = signal.timestamp
    return fields


def _counts(recorded: Recorded) -> ClientResponse:
    shown: dict[str, Any] = {
        "ingested": recorded.charged,
        "duplicates": recorded.replayed,
        "failed": len(recorded.refused),
    }
    if recorded.refused:
        shown["errors"] = [{"index": one.index, "error": renamed(one.error, NAMES)} for one in recorded.refused]
    return ClientResponse(200, _encode(shown))


def _refusal(problem: Problem, headers: Headers) -> ClientResponse:
    """Return Paid's error; its clients repeat 408, 409, 429 and 5xx, so a conflict is a 400 here."""
    status = 400 if problem.status == 409 else problem.status
    return ClientResponse(status, _encode({"error": {"code": problem.code, "message": problem.error}}))


NAMES = {
    "action": "eventName",
    "customer_id": "customer.externalCustomerId",
    "idempotency_key": "idempotencyKey",
    "metadata": "data",
    "agent_id": "attribution.externalProductId",
}
PAID = Dialect(
    name="paid",
    product="Paid",
    set_up="Paid(token='rg_…', base_url='{url}/paid/api/v2')",
    key_header="Authorization: Bearer rg_…",
    secret=bearer,
    refusal=_refusal,
    routes=(
        DialectRoute(
            "/paid/api/v2/signals/bulk", "Record the signals that a Paid client sends.", read_signals, Refusals.EACH
        ),
        DialectRoute("/paid/api/v2/costs/bulk", "Accept the costs that a Paid client sends; none counts.", read_costs),
    ),
    names=NAMES,
)
