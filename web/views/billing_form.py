"""The form of a customer's billing: its fields, and the request that it makes. Pure."""

from collections.abc import Mapping
from typing import Any

from web.views.dollars import FormProblem

ADDRESS = ("name", "email", "line1", "line2", "postal_code", "city", "state", "country", "tax_id")
NUMBERS = {"payment_terms_days": ("30", 5), "billing_anchor": ("1", 5), "invoice_threshold_cents": ("100000", 13)}
"""Fields that are integers, with an example and the most digits of each."""
TEXTS = ("currency", "tax_percent", "tax_reason", "billing_interval", "time_zone")
FIELDS = (*TEXTS, *NUMBERS, *ADDRESS)
INTERVALS = {"month": "Monthly", "week": "Weekly"}


def fields_of(shown: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a billing as the API shows it."""
    bill_to = shown["bill_to"]
    fields = {name: "" if shown[name] is None else str(shown[name]) for name in FIELDS if name not in ADDRESS}
    return {**fields, **{name: bill_to.get(name, "") for name in ADDRESS}}


def body_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the request; what is empty gets the API's default. Raises FormProblem."""
    given = {name: form.get(name, "").strip() for name in FIELDS}
    given["country"] = given["country"].upper()
    for name, (example, digits) in NUMBERS.items():
        if given[name] and not (given[name].isascii() and given[name].isdigit() and len(given[name]) <= digits):
            raise FormProblem(f"{name} must be an integer, such as {example}")
    body: dict[str, Any] = {name: given[name] for name in TEXTS if given[name]}
    body |= {name: int(given[name]) for name in NUMBERS if given[name]}
    address = {name: given[name] for name in ADDRESS if given[name]}
    return {**body, "bill_to": address} if address else body
