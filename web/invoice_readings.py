"""What pages ask the API about invoices and billing."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from web.gateway_api import PAGE, GatewayApi
from web.views.invoice_view import address
from web.views.invoices_view import InvoiceLine, invoice_lines
from web.web_refusals import Refusal

INVOICES, PUSHES = "/api/admin/invoices", "/api/admin/stripe/pushes"
MOST_PAGES = 5
"""Pages of a list that one page of ours asks for at most."""
LATEST = 12
"""Invoices on a customer's page."""


class SomeInvoices(NamedTuple):
    """Invoices as the API shows them. ``whole``: these are all."""

    invoices: Sequence[Mapping[str, Any]]
    whole: bool


class CustomerBilling(NamedTuple):
    """How a customer is billed, and its latest invoices. ``tax``: as text, such as ``19 % German VAT``."""

    currency: str
    tax: str
    terms: int
    bill_to: list[str]
    has_email: bool
    invoices: list[InvoiceLine]


async def in_state(api: GatewayApi, state: str) -> SomeInvoices:
    """Return the invoices in a state, at most MOST_PAGES * PAGE, the latest month first. Raises Refusal."""
    found: list[Mapping[str, Any]] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        asked = {"limit": str(PAGE), "state": state, **({"cursor": cursor} if cursor else {})}
        page = await api.call("GET", f"{INVOICES}?{urlencode(asked)}")
        found += page["invoices"]
        cursor = page["next_cursor"]
        if cursor is None:
            return SomeInvoices(found, True)
    return SomeInvoices(found, False)


async def of_customer(api: GatewayApi, id: str, now: int) -> CustomerBilling | None:
    """Return a customer's billing and invoices; None while the collector does not answer. Raises Refusal."""
    asked = urlencode({"customer_id": id, "limit": LATEST})
    try:
        billing, page = await asyncio.gather(
            api.call("GET", f"/api/admin/customers/{quote(id, safe='')}/billing"),
            api.call("GET", f"{INVOICES}?{asked}"),
        )
    except Refusal as refusal:
        if refusal.status != 503:
            raise
        return None
    percent = billing["tax_percent"]
    return CustomerBilling(
        currency=billing["currency"].upper(),
        tax=f"{percent} % {billing['tax_reason']}".rstrip() if percent else "none",
        terms=billing["payment_terms_days"],
        bill_to=address(billing["bill_to"]),
        has_email=bool(billing["bill_to"].get("email")),
        invoices=invoice_lines(page["invoices"], {}, now),
    )
