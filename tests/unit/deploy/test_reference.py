"""docs/reference.md is what the gateway's own description makes it."""

from ingest.passed_on import PASSED_ON
from tools import api_reference
from tools.api_examples import CALLS
from tools.generate import REFERENCE
from web.application import table

WITHOUT = {
    "POST /v1/explain",
    *(f"GET {path}/invoices/{{number}}" for path in ("/v1", "/api/admin")),
    *(f"POST /api/admin/invoices/{{number}}/{what}" for what in ("payments", "void", "uncollectible", "push")),
    "POST /api/admin/stripe/reconcile",
    "GET /api/dashboard/live",
}
"""What another product's body, a final invoice or a Stripe account is needed for, and what does not end."""


def test_what_rev_web_answers_is_described() -> None:
    """In /openapi.json, whose gateway passes it on."""
    answered = {(route.method, route.path) for route in table() if route.path.startswith("/api/")}
    assert answered == {(one.method, one.path) for one in PASSED_ON}


def test_the_page_is_current() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == api_reference.page()


def test_every_operation_is_on_the_page_and_has_an_example() -> None:
    """But for those that WITHOUT names; and no example is of an operation that is gone."""
    known = {f"{method} {path}" for _, method, path, _ in api_reference.operations(api_reference.described())}
    headings = {line.removeprefix("### ") for line in api_reference.page().splitlines() if line.startswith("### ")}
    assert headings == known and known - CALLS.keys() == WITHOUT and known >= CALLS.keys()
