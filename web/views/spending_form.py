"""The forms of prepaid credit and budgets: dollars as typed, to the bodies of the API. Pure; no floats."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from schemas.money import format_cents
from web.views.dollars import FormProblem, pico_of
from web.views.spending_view import PERIODS, SCOPES

Fields = Mapping[str, str]
PRIORITIES = {"10": "First", "50": "In between", "90": "Last"}
CATEGORIES = {"promotional": "given for free", "paid": "paid for by the customer"}
HARD = {"1": "refuses what exceeds it", "0": "says so, and lets it pass"}


def grant_body(customer_id: str, test: bool, fields: Fields, once: str) -> dict[str, Any]:
    """Return the body of POST /api/admin/credits. ``once``: the token of the form, sent twice it grants once.

    Raises FormProblem.
    """
    amount = pico_of("Amount", fields.get("amount", ""))
    if not amount:
        raise FormProblem("Amount must be more than $0")
    reason = fields.get("reason", "").strip()
    if not reason:
        raise FormProblem("Reason is required")
    body = {"customer_id": customer_id, "amount_cents": format_cents(amount), "reason": reason, "test": test}
    body |= {"priority": int(_one_of("Drawn", fields.get("priority", "50"), PRIORITIES)), "idempotency_key": key(once)}
    body |= {"category": _one_of("Credit", fields.get("category", "promotional"), CATEGORIES)}
    last = fields.get("expires", "").strip()
    return body | ({"expires_at": _day_after(last)} if last else {})


def budget_body(customer_id: str, test: bool, fields: Fields, once: str) -> dict[str, Any]:
    """Return the body of POST /api/admin/budgets. Raises FormProblem."""
    scope = _one_of("For", fields.get("scope", ""), SCOPES)
    value = fields.get("value", "").strip()
    if scope == "all" and value:
        raise FormProblem("Name must be empty for everything")
    if scope != "all" and not value:
        raise FormProblem(f"Name is required for one {SCOPES[scope]}")
    body = {"customer_id": customer_id, "test": test, "scope": scope}
    body |= {"period": _one_of("Period", fields.get("period", ""), PERIODS), "idempotency_key": key(once)}
    body |= {"limit_cents": format_cents(pico_of("Limit", fields.get("limit", "")))}
    body |= {"hard": _one_of("A budget", fields.get("hard", ""), HARD) == "1"}
    return body | ({"value": value} if value else {})


def key(once: str) -> str:
    """Return the idempotency key of a form."""
    return f"page-{sha256(once.encode()).hexdigest()[:32]}"


def _one_of(field: str, given: str, known: Mapping[str, str]) -> str:
    if given not in known:
        raise FormProblem(f"{field} must be one of {', '.join(known)}")
    return given


def _day_after(text: str) -> str:
    """Return the end of a day, ISO 8601 UTC."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise FormProblem("Last day must be a date, such as 2027-01-31") from None
    return f"{day + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
