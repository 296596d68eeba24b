"""An invoice of the month before, on the stack that all tests of pages share: a month is invoiced once."""

from collections.abc import Awaitable, Callable

from schemas.months import month_range
from schemas.objects import iso
from tests.integration.collector.closed_months import closed_month
from tests.integration.web.owner import Owner

CUSTOMER = "invoiced-corp"
MODEL = "gpt-4o <b>"
EVENTS = 3


async def invoice_number(owner: Owner, eventually: Callable[..., Awaitable[None]], name: str) -> str:
    """Return the number of the invoice of CUSTOMER, called ``name``. It is made at the first call."""
    listed = f"/api/admin/invoices?customer_id={CUSTOMER}"
    _, page = await owner.call("GET", listed)
    if not page["invoices"]:
        month = closed_month()
        key = await owner.key(CUSTOMER, customer_name=name)
        bill_to = {"name": name, "email": "pay@northwind.example", "postal_code": "10115", "city": "Berlin"}
        billing = {"tax_percent": 19, "tax_reason": "German VAT", "bill_to": bill_to}
        assert (await owner.call("PUT", f"/api/admin/customers/{CUSTOMER}/billing", billing))[0] == 200
        event = {"agent_id": "agent-copilot", "action": "completion", "tokens": 240_001, "model": MODEL}
        event["timestamp"] = iso(month_range(month).end - 1000)
        assert (await owner.call("POST", "/v1/meter/batch", {"events": [event] * EVENTS}, key))[0] == 201

        async def counted() -> bool:
            _, found = await owner.call("POST", "/api/admin/invoices/run", {"month": month, "dry_run": True})
            return any((one["customer_id"], one["entries"]) == (CUSTOMER, EVENTS) for one in found.get("largest", ()))

        await eventually(counted)
        assert (await owner.call("POST", "/api/admin/invoices/run", {"month": month}))[0] == 200
        _, page = await owner.call("GET", listed)
    return str(page["invoices"][0]["number"])
