"""The form of a customer's billing: its fields, and the request that it makes. Pure."""

from collections.abc import Mapping
from typing import Any

from web.views.dollars import FormProblem

ADDRESS = ("name", "email", "line1", "line2", "postal_code", "city", "state", "country", "tax_id")
FIELDS = ("currency", "tax_percent", "tax_reason", "payment_terms_days", *ADDRESS)


def fields_of(shown: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a billing as the API shows it."""
    bill_to = shown["bill_to"]
    fields = {name: str(shown[name]) for name in FIELDS if name not in ADDRESS}
    return {**fields, **{name: bill_to.get(name, "") for name in ADDRESS}}


def body_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the request; what is empty gets the API's default. Raises FormProblem."""
    given = {name: form.get(name, "").strip() for name in FIELDS}
    given["country"] = given["country"].upper()
    days = given["payment_terms_days"]
    if days and not (days.isascii() and days.isdigit() and len(days) < 6):
        raise FormProblem("payment_terms_days must be an integer, such as 30")
    body: dict[str, Any] = {name: given[name] for name in ("currency", "tax_percent", "tax_reason") if given[name]}
    body |= {"payment_terms_days": int(days)} if days else {}
    address = {name: given[name] for name in ADDRESS if given[name]}
    return {**body, "bill_to": address} if address else body
