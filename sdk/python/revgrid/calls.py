"""The requests: one function per call, shared by both clients. Pure.

A function checks what only the caller's side can know, and returns a Call; it sends nothing.
Arguments that are None are left out. The client, not this module, makes keys and reads the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar, Union
from urllib.parse import quote, urlencode

from .models import (
    Balance,
    BatchResponse,
    BudgetList,
    Deleted,
    Event,
    InvoiceList,
    InvoiceWithLines,
    MeterResponse,
    Outcome,
    Pricing,
    Reservation,
    ReservationList,
    Statement,
    Usage,
    Webhook,
    WebhookList,
)
from .writing import finite, instant, to_json

T = TypeVar("T")
Cents = Union[int, Decimal, str]
"""An amount in cents: a whole number, a Decimal, or decimal text. A float is refused."""
Quantity = Union[int, Decimal, str]
"""A number of units: a whole number, a Decimal, or decimal text, with at most 6 decimals. A float is refused, since it
would be charged: 0.1 + 0.2 is not 0.3."""
Time = Union[datetime, str]
"""An aware datetime, or ISO 8601 text with Z or an offset."""
ALL = 1000
"""Items of one page; a customer cannot have that many webhooks."""


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request and the type of its answer.

    ``keyed``: it carries an Idempotency-Key (``key``, or one that the client makes), so repeats
    have no effect. ``safe``: repeats have no effect by themselves. ``gone``: the answer to a repeat
    that finds nothing left to do.
    """

    method: str
    path: str
    kind: type[T]
    body: bytes | None = None
    key: str | None = None
    keyed: bool = False
    safe: bool = True
    gone: T | None = None
    respond_async: bool = False


def meter(
    *,
    agent_id: str,
    action: str,
    tokens: int | None = None,
    tokens_input: int | None = None,
    tokens_output: int | None = None,
    tokens_in: int | None = None,
    tokens_out: int | None = None,
    tokens_cache_read: int | None = None,
    tokens_cache_write: int | None = None,
    tokens_reasoning: int | None = None,
    quantities: Mapping[str, Quantity] | None = None,
    usage: Mapping[str, Any] | None = None,
    outcome: str | None = None,
    expires_at: Time | None = None,
    on_expiry: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    timestamp: Time | None = None,
    task_id: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    trace_id: str | None = None,
    customer_id: str | None = None,
    reservation_id: str | None = None,
    idempotency_key: str | None = None,
    respond_async: bool = False,
) -> Call[MeterResponse]:
    """Meter one thing that an agent did; return its exact price, which no crash changes.

    Token counts are disjoint: ``tokens_input`` excludes what was read from or written to a cache, ``tokens_output``
    excludes reasoning. ``quantities``: anything else that the action's price has a rate for, by name, such as
    ``{"images": 2, "audio_seconds": Decimal("12.5")}``. ``usage``: the provider's own usage object, whose tokens are
    charged by kind; name the ``provider``.
    ``outcome``: ``success`` adds the action's bonus, ``failure`` does not, ``pending`` defers it
    (``expires_at`` and ``on_expiry`` are then allowed, and the answer has an outcome_id).
    ``timestamp``: when it happened, if not now. ``respond_async``: do not wait for the price.
    ``reservation_id``: the reservation that it settles; what that holds is released.
    ``customer_id``: with a platform key.
    """
    fields = {
        "agent_id": agent_id,
        "action": action,
        "tokens": tokens,
        "tokens_input": tokens_input,
        "tokens_output": tokens_output,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "tokens_cache_read": tokens_cache_read,
        "tokens_cache_write": tokens_cache_write,
        "tokens_reasoning": tokens_reasoning,
        "quantities": None if quantities is None else _quantities("quantities", quantities),
        "usage": usage,
        "outcome": outcome,
        "expires_at": expires_at,
        "on_expiry": on_expiry,
        "metadata": metadata,
        "timestamp": timestamp,
        "task_id": task_id,
        "model": model,
        "provider": provider,
        "trace_id": trace_id,
        "customer_id": customer_id,
        "reservation_id": reservation_id,
    }
    return _write("/v1/meter", MeterResponse, fields, idempotency_key, respond_async)


def meter_batch(
    events: Sequence[Mapping[str, Any]],
    *,
    customer_id: str | None = None,
    idempotency_key: str | None = None,
    respond_async: bool = False,
) -> Call[BatchResponse]:
    """Meter 1 to 1,000 events, all or none.

    Each event is a mapping with the fields of ``meter`` and may have an idempotency_key of its own.
    """
    shown = [_event(index, given) for index, given in enumerate(events)]
    return _write(
        "/v1/meter/batch",
        BatchResponse,
        {"events": shown, "customer_id": customer_id},
        idempotency_key,
        respond_async,
    )


def event(event_id: int, *, customer_id: str | None = None) -> Call[Event]:
    """Return what became of an event.

    It is in the ledger within a second of its acceptance; until then its status is ``accepted``.
    """
    return _get(f"/v1/events/{int(event_id)}", Event, {"customer_id": customer_id})


def usage(
    *,
    period: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    agent_id: str | None = None,
    action: str | None = None,
    model: str | None = None,
    group_by: str | None = None,
    customer_id: str | None = None,
) -> Call[Usage]:
    """Return the totals of a period (``24h``, ``7d``, ``30d``, ``90d``) or of [start, end), at most a second old.

    ``group_by``: ``day``, ``hour``, ``agent``, ``action`` or ``model``; ``component`` or ``component_model``
    fill ``components``.
    """
    query = {
        "period": period,
        "from": None if start is None else _time(start),
        "to": None if end is None else _time(end),
        "agent_id": agent_id,
        "action": action,
        "model": model,
        "group_by": group_by,
        "customer_id": customer_id,
    }
    return _get("/v1/usage", Usage, query)


def pricing(*, customer_id: str | None = None) -> Call[Pricing]:
    """Return what each action costs now."""
    return _get("/v1/pricing", Pricing, {"customer_id": customer_id})


def budgets(
    *,
    amount_cents: Cents | None = None,
    agent_id: str | None = None,
    action: str | None = None,
    model: str | None = None,
    customer_id: str | None = None,
) -> Call[BudgetList]:
    """Return the budgets, with what is spent and left of each.

    ``amount_cents``: ask whether so much more would fit. ``agent_id``, ``action``, ``model``: only the budgets that
    count an event with these labels, sent with this key.
    """
    amount = None if amount_cents is None else _cents("amount_cents", amount_cents)
    query = {
        "amount_cents": None if amount is None else str(amount),
        "agent_id": agent_id,
        "action": action,
        "model": model,
        "customer_id": customer_id,
    }
    return _get("/v1/budgets", BudgetList, query)


def reserve(
    *,
    amount_cents: Cents | None = None,
    estimate: Mapping[str, Any] | None = None,
    ttl_seconds: int | None = None,
    agent_id: str | None = None,
    action: str | None = None,
    model: str | None = None,
    customer_id: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Reservation]:
    """Hold money before an agent runs: ``amount_cents``, or what the event ``estimate`` would cost.

    Meter with its ``reservation_id`` to settle it, or release it. ``agent_id``, ``action``, ``model``: what an amount
    is for, so that budgets of these hold it, too.
    """
    fields = {
        "amount_cents": None if amount_cents is None else _cents("amount_cents", amount_cents),
        "estimate": estimate,
        "ttl_seconds": ttl_seconds,
        "agent_id": agent_id,
        "action": action,
        "model": model,
        "customer_id": customer_id,
    }
    return _write("/v1/reservations", Reservation, fields, idempotency_key, False)


def release(reservation_id: str, *, customer_id: str | None = None) -> Call[Reservation]:
    """Release what a reservation holds; a repeat changes nothing."""
    path = _with_query("/v1/reservations/" + _segment(reservation_id) + "/release", {"customer_id": customer_id})
    return Call("POST", path, Reservation, b"{}")


def reservation(reservation_id: str, *, customer_id: str | None = None) -> Call[Reservation]:
    """Return a reservation."""
    return _get("/v1/reservations/" + _segment(reservation_id), Reservation, {"customer_id": customer_id})


def reservations(*, customer_id: str | None = None) -> Call[ReservationList]:
    """Return the open reservations."""
    return _get("/v1/reservations", ReservationList, {"customer_id": customer_id})


def balance(*, customer_id: str | None = None) -> Call[Balance]:
    """Return the prepaid credit that can be drawn now."""
    return _get("/v1/balance", Balance, {"customer_id": customer_id})


def statement(
    *, month: str | None = None, as_of: Time | None = None, customer_id: str | None = None
) -> Call[Statement]:
    """Return what is owed for a calendar month (UTC, ``2026-11``; by default the current one), line by line.

    ``as_of``: only what was accepted until then; by default a few seconds ago. The same time gives the same statement.
    """
    query = {"month": month, "as_of": None if as_of is None else _time(as_of), "customer_id": customer_id}
    return _get("/v1/statement", Statement, query)


def invoices(
    *,
    month: str | None = None,
    state: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    customer_id: str | None = None,
) -> Call[InvoiceList]:
    """Return a page of invoices, the latest month first.

    ``state``: ``draft``, ``final``, ``paid``, ``void`` or ``uncollectible``. ``limit``: 1 to 1000, by default 50.
    ``cursor``: the ``next_cursor`` of the page before.
    """
    query = {
        "month": month,
        "state": state,
        "limit": None if limit is None else str(limit),
        "cursor": cursor,
        "customer_id": customer_id,
    }
    return _get("/v1/invoices", InvoiceList, query)


def invoice(number: str, *, customer_id: str | None = None) -> Call[InvoiceWithLines]:
    """Return an invoice with its credit notes and lines."""
    return _get("/v1/invoices/" + _segment(number), InvoiceWithLines, {"customer_id": customer_id})


def register_outcome(
    *,
    task_id: str,
    agent_id: str,
    expires_at: Time,
    success_criteria: Mapping[str, Any] | None = None,
    price_on_success: Cents,
    price_on_failure: Cents | None = None,
    on_expiry: str | None = None,
    customer_id: str | None = None,
    idempotency_key: str | None = None,
    respond_async: bool = False,
) -> Call[Outcome]:
    """Register a task whose price, in cents, depends on its result. Nothing is charged yet.

    ``on_expiry``: which price an expiry charges, ``failure`` (default) or ``success``.
    """
    fields = {
        "task_id": task_id,
        "agent_id": agent_id,
        "expires_at": expires_at,
        "success_criteria": success_criteria,
        "price_on_success": _cents("price_on_success", price_on_success),
        "price_on_failure": None if price_on_failure is None else _cents("price_on_failure", price_on_failure),
        "on_expiry": on_expiry,
        "customer_id": customer_id,
    }
    return _write("/v1/outcomes", Outcome, fields, idempotency_key, respond_async)


def resolve_outcome(
    task_id: str | None = None,
    *,
    outcome_id: str | None = None,
    success: bool | None = None,
    outcome: str | None = None,
    evidence: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    customer_id: str | None = None,
    idempotency_key: str | None = None,
    respond_async: bool = False,
) -> Call[Outcome]:
    """Resolve an outcome, which charges the price of its result.

    Identify it by its task_id or outcome_id. Give the result as ``success``, or as ``outcome``
    (``success`` or ``failure``). ``evidence`` and ``metadata`` are two names for the same thing.
    """
    target = task_id if outcome_id is None else outcome_id
    if target is None or (task_id is not None and outcome_id is not None):
        raise TypeError("resolve_outcome() takes either task_id or outcome_id")
    if success is None and outcome is None:
        raise TypeError("resolve_outcome() requires success=True or False, or outcome='success' or 'failure'")
    fields = {
        "success": success,
        "outcome": outcome,
        "evidence": evidence,
        "metadata": metadata,
        "customer_id": customer_id,
    }
    return _write(f"/v1/outcomes/{_segment(target)}/resolve", Outcome, fields, idempotency_key, respond_async)


def outcome(id: str, *, customer_id: str | None = None) -> Call[Outcome]:
    """Return the current state of an outcome, by its task_id or outcome_id."""
    return _get(f"/v1/outcomes/{_segment(id)}", Outcome, {"customer_id": customer_id})


def create_webhook(*, url: str, events: Sequence[str], customer_id: str | None = None) -> Call[Webhook]:
    """Create an endpoint. Only this answer has its ``secret``."""
    if isinstance(events, str):
        raise TypeError("events must be a list of event types")
    body = _json({"url": url, "events": list(events), "customer_id": customer_id})
    # no key protects this call: a repeat would create a second endpoint
    return Call("POST", "/v1/webhooks", Webhook, body, safe=False)


def webhooks(*, customer_id: str | None = None) -> Call[WebhookList]:
    """Return the customer's endpoints, without their secrets."""
    return _get("/v1/webhooks", WebhookList, {"limit": str(ALL), "customer_id": customer_id})


def delete_webhook(id: int, *, customer_id: str | None = None) -> Call[Deleted]:
    """Delete an endpoint; nothing more is sent to it."""
    path = _with_query(f"/v1/webhooks/{int(id)}", {"customer_id": customer_id})
    return Call("DELETE", path, Deleted, gone=Deleted(True, int(id)))


def _get(path: str, kind: type[T], query: Mapping[str, str | None]) -> Call[T]:
    return Call("GET", _with_query(path, query), kind)


def _write(path: str, kind: type[T], fields: Mapping[str, Any], key: str | None, respond_async: bool) -> Call[T]:
    if key is not None and (not key or key != key.strip() or any(ord(letter) < 32 for letter in key)):
        raise ValueError(
            "idempotency_key must not be empty, begin or end with whitespace, or contain control characters"
        )
    return Call("POST", path, kind, _json(fields), key, keyed=True, respond_async=respond_async)


def _with_query(path: str, query: Mapping[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _segment(id: str) -> str:
    if not id:
        raise ValueError("the id of an outcome must not be empty")
    return quote(id, safe="")


def _json(fields: Mapping[str, Any]) -> bytes:
    return to_json({name: value for name, value in fields.items() if value is not None}).encode()


def _time(value: Time) -> str:
    return value if isinstance(value, str) else instant(value)


def _cents(name: str, value: Cents) -> Cents:
    return _exact(name, "cents", value)


def _event(index: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of a batch without what is None."""
    shown = {name: value for name, value in given.items() if value is not None}
    if "quantities" in shown:
        shown["quantities"] = _quantities(f"events[{index}].quantities", shown["quantities"])
    return shown


def _quantities(name: str, given: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Return quantities as they are sent. Raises TypeError, naming the place; also for None, which would cost nothing
    unnoticed."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must be a mapping of names to numbers, not {type(given).__name__}")
    return {key: _exact(f"{name}.{key}", "a quantity", value) for key, value in given.items()}


def _exact(name: str, what: str, value: int | Decimal | str) -> int | Decimal | str:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        raise TypeError(f"{name} must be {what} as an int, a Decimal or decimal text, not {type(value).__name__}")
    # as text: a Decimal may have more digits than other JSON readers keep
    return str(finite(name, value)) if isinstance(value, Decimal) else value
