"""The audit trail in words: configuration changes and voids, as the ledger's entries hold them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from schemas.deliveries import REPLAY
from warehouse.rows import AuditRow
from web.exact_json import parsed, pico_of
from web.formats import dollars_in_full
from web.views.price_rows import price_row
from web.views.spending_view import PERIODS, SCOPES

Detail = Mapping[str, Any]


class AuditLine(NamedTuple):
    """A change. ``change``: what was done; ``object``: to what; ``more``: how it is now. ``detail``: JSON text.

    ``customer_id`` is empty for what concerns every customer.
    """

    id: int
    type: str
    change: str
    object: str
    customer_id: str
    more: str
    actor: str
    at: int
    detail: str


class _Words(NamedTuple):
    change: str
    object: str = ""
    more: str = ""


def audit_line(row: AuditRow) -> AuditLine:
    """Return one entry in words. A type that this module does not know is shown by its name."""
    try:
        detail = parsed(row.detail)
    except ValueError:
        detail = {}
    describe = _DESCRIBED.get(row.type, _any)
    try:
        words = describe(detail)
    except (KeyError, TypeError, ValueError):
        # an object of an older form; its JSON is shown in any case
        words = _Words(row.type)
    customer = detail.get("customer_id") if isinstance(detail, dict) else None
    return AuditLine(
        id=row.event_id,
        type=row.type,
        change=words.change or row.type,
        object=words.object,
        customer_id="" if customer in (None, "*") else str(customer),
        more=words.more,
        actor=row.actor,
        at=row.recorded_at,
        detail=row.detail,
    )


def _key_created(key: Detail) -> _Words:
    kind = "test key" if key["test"] else "platform key" if key["customer_id"] == "*" else "API key"
    return _Words(f"Created {kind}", key["api_key_masked"])


def _key_revoked(key: Detail) -> _Words:
    return _Words("Revoked API key", key["api_key_masked"])


def _price_changed(shown: Detail) -> _Words:
    row = price_row(shown)
    scope = [
        f"model {row.slot.model}" if row.slot.model else "",
        f"provider {row.slot.provider}" if row.slot.provider else "",
    ]
    default = "" if row.slot.customer_id else "default "
    place = ", ".join(filter(None, [row.slot.action, *scope]))
    if not row.is_active:
        return _Words(f"Ended the {default}price of", place, f"It was {row.words}.")
    return _Words(f"Set the {default}price of", place, f"Now {row.words}.")


def _customer_created(customer: Detail) -> _Words:
    return _Words("Added a customer", more="A platform key named it first." if customer.get("metered") else "")


def _customer_updated(customer: Detail) -> _Words:
    name = f"Named {customer['name']}" if customer["name"] else "Without a name"
    external = customer["external_ids"]
    ids = f", known as {', '.join(f'{id} in {system}' for system, id in external.items())}" if external else ""
    return _Words("Updated a customer", more=f"{name}{', in test mode' if customer['test'] else ''}{ids}.")


def _voided(void: Detail) -> _Words:
    amount = dollars_in_full(-pico_of(void["total_cents"]))
    what = "the charge of an outcome" if void["outcome_id"] else "an event"
    return _Words(f"Took back {what}", str(void["voided_event_id"]), f"{amount} of {void['action']}: {void['reason']}")


def _webhook(change: str) -> Callable[[Detail], _Words]:
    def describe(endpoint: Detail) -> _Words:
        return _Words(change, str(endpoint.get("url") or ""))

    return describe


def _budget(change: str) -> Callable[[Detail], _Words]:
    def describe(budget: Detail) -> _Words:
        hard = "hard" if budget["hard"] else "soft"
        limit = f"{dollars_in_full(pico_of(budget['limit_cents']))} {PERIODS[budget['period']]}"
        spent = dollars_in_full(pico_of(budget["spent_cents"]))
        return _Words(change, str(budget["value"]), f"{SCOPES[budget['scope']]}, {hard}: {limit}, {spent} spent.")

    return describe


def _granted(grant: Detail) -> _Words:
    kind = "paid for" if grant.get("category") == "paid" else "given for free"
    until = f", until {grant['expires_at']}" if grant["expires_at"] else ""
    return _Words(
        "Granted credit", more=f"{dollars_in_full(pico_of(grant['amount_cents']))}, {kind}{until}: {grant['reason']}"
    )


def _grant_expired(grant: Detail) -> _Words:
    left = dollars_in_full(pico_of(grant["left_cents"]))
    return _Words("Ended a grant of credit in its time", more=f"{left} of it was not drawn: {grant['reason']}")


def _credit_low(change: str) -> Callable[[Detail], _Words]:
    def describe(notice: Detail) -> _Words:
        return _Words(change, more=f"{dollars_in_full(pico_of(notice['balance_cents']))} can still be drawn.")

    return describe


def _signed_up(signup: Detail) -> _Words:
    utm = ", ".join(str(signup[name]) for name in ("utm_source", "utm_medium", "utm_campaign") if signup[name])
    return _Words("Signed up", str(signup["email"]), f"By a link with {utm}." if utm else "")


def _anchor(shown: Detail) -> _Words:
    return _Words("Set the billing anchor", more=f"Its months begin on day {shown['billing_anchor']}.")


def _reservation(change: str) -> Callable[[Detail], _Words]:
    def describe(shown: Detail) -> _Words:
        return _Words(change, str(shown["reservation_id"]), f"{dollars_in_full(pico_of(shown['amount_cents']))}.")

    return describe


def _any(detail: Detail) -> _Words:
    return _Words("")


_DESCRIBED: dict[str, Callable[[Detail], _Words]] = {
    "key.created": _key_created,
    "key.revoked": _key_revoked,
    "pricing.updated": _price_changed,
    "customer.created": _customer_created,
    "customer.updated": _customer_updated,
    "meter.voided": _voided,
    "budget.created": _budget("Set a budget"),
    "budget.deleted": _budget("Deleted a budget"),
    "budget.threshold": _budget("Told that a budget is nearly spent"),
    "budget.exceeded": _budget("Told that a budget is exceeded"),
    "credit.granted": _granted,
    "credit.expired": _grant_expired,
    "credit.low": _credit_low("Told that credit is low"),
    "credit.exhausted": _credit_low("Told that credit is used up"),
    "billing_anchor.updated": _anchor,
    "signup.created": _signed_up,
    "reservation.created": _reservation("Reserved"),
    "reservation.released": _reservation("Released a reservation"),
    "reservation.expired": _reservation("Ended a reservation in its time"),
    "webhook.created": _webhook("Added a webhook"),
    "webhook.updated": _webhook("Changed a webhook"),
    "webhook.deleted": _webhook("Deleted a webhook"),
    "webhook.rotated": _webhook("Rotated the secret of a webhook"),
    "webhook.disabled": _webhook("Gave up a webhook"),
    "webhook.test": _webhook("Sent a test to a webhook"),
    REPLAY: _webhook("Replayed deliveries of a webhook"),
    "webhook.replayed": _webhook("Replayed deliveries of a webhook"),
}
