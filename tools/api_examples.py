"""A call for each operation of the API, as the reference shows it and a test makes it. Pure."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

Values = Mapping[str, str]
"""Ids of things that a call is about, by what they are; and ``customer``."""
SAMPLES: Values = {
    **{"customer": "acme-corp", "event": "42", "outcome": "oc_42", "task": "contract-1", "webhook": "7"},
    **{"api_key": "3", "price": "12", "budget": "5", "reservation": "rs_42", "import": "june"},
    **{"month": "2026-11", "closed_month": "2026-10", "new": "1"},
    **{"charged": "oc_42", "recently": "2026-11-30T00:00:00Z"},
}
"""Those of the page. ``new``: makes names unique."""
LATER = "2031-01-01T00:00:00Z"
EVENT = {"agent_id": "agent-copilot", "action": "completion", "tokens": 2400, "outcome": "success"}
ADMIN = "/api/admin"


class Call(NamedTuple):
    path: str
    body: Any = None


def _dashboard(name: str, query: str, values: Values) -> Call:
    return Call(f"/api/dashboard/{name}{query}")


CALLS: dict[str, Callable[[Values], Call]] = {
    "POST /v1/meter": lambda v: Call("/v1/meter", {**EVENT, "idempotency_key": f"call-{v['new']}"}),
    "POST /v1/meter/batch": lambda v: Call(
        "/v1/meter/batch", {"import_id": f"june-{v['new']}", "events": [EVENT, {**EVENT, "outcome": "failure"}]}
    ),
    "POST /v1/outcomes": lambda v: Call(
        "/v1/outcomes",
        {"task_id": f"review-{v['new']}", "agent_id": "agent-legal", "price_on_success": 4900, "expires_at": LATER},
    ),
    "GET /v1/outcomes": lambda v: Call("/v1/outcomes?status=pending"),
    "POST /v1/outcomes/{outcome_id}/resolve": lambda v: Call(
        f"/v1/outcomes/{v['task']}/resolve", {"success": True, "evidence": {"clauses": 14}}
    ),
    "GET /v1/outcomes/{outcome_id}": lambda v: Call(f"/v1/outcomes/{v['outcome']}"),
    "POST /v1/webhooks": lambda v: Call(
        "/v1/webhooks", {"url": "https://example.com/rev", "events": ["outcome.succeeded", "outcome.failed"]}
    ),
    "GET /v1/webhooks": lambda v: Call("/v1/webhooks"),
    "GET /v1/webhooks/{id}": lambda v: Call(f"/v1/webhooks/{v['webhook']}"),
    "PATCH /v1/webhooks/{id}": lambda v: Call(f"/v1/webhooks/{v['webhook']}", {"events": ["*"]}),
    "DELETE /v1/webhooks/{id}": lambda v: Call(f"/v1/webhooks/{v['webhook']}"),
    "POST /v1/webhooks/{id}/rotate": lambda v: Call(f"/v1/webhooks/{v['webhook']}/rotate", {}),
    "POST /v1/webhooks/{id}/test": lambda v: Call(f"/v1/webhooks/{v['webhook']}/test", {}),
    "GET /v1/webhooks/{id}/deliveries": lambda v: Call(f"/v1/webhooks/{v['webhook']}/deliveries?limit=20"),
    "POST /v1/webhooks/{id}/replay": lambda v: Call(f"/v1/webhooks/{v['webhook']}/replay", {"since": v["recently"]}),
    "GET /v1/events": lambda v: Call("/v1/events?action=completion&limit=20"),
    "GET /v1/events/{event_id}": lambda v: Call(f"/v1/events/{v['event']}"),
    "POST /v1/events/lookup": lambda v: Call("/v1/events/lookup", {"idempotency_keys": ["call-1", "call-2"]}),
    "GET /v1/usage": lambda v: Call("/v1/usage?period=7d&group_by=agent"),
    "GET /v1/imports": lambda v: Call("/v1/imports"),
    "GET /v1/imports/{import_id}": lambda v: Call(f"/v1/imports/{v['import']}"),
    "GET /v1/statement": lambda v: Call(f"/v1/statement?month={v['month']}"),
    "GET /v1/budgets": lambda v: Call("/v1/budgets?amount_cents=25"),
    "GET /v1/balance": lambda v: Call("/v1/balance"),
    "POST /v1/reservations": lambda v: Call(
        "/v1/reservations", {"amount_cents": 25, "agent_id": "agent-copilot", "ttl_seconds": 600}
    ),
    "GET /v1/reservations": lambda v: Call("/v1/reservations"),
    "GET /v1/reservations/{reservation_id}": lambda v: Call(f"/v1/reservations/{v['reservation']}"),
    "POST /v1/reservations/{reservation_id}/release": lambda v: Call(
        f"/v1/reservations/{v['reservation']}/release", {}
    ),
    "GET /v1/key": lambda v: Call("/v1/key"),
    "GET /v1/invoices": lambda v: Call("/v1/invoices"),
    "GET /v1/pricing": lambda v: Call("/v1/pricing"),
    f"POST {ADMIN}/events/{{event_id}}/void": lambda v: Call(
        f"{ADMIN}/events/{v['event']}/void", {"reason": "sent twice"}
    ),
    f"POST {ADMIN}/outcomes/{{outcome_id}}/void": lambda v: Call(
        f"{ADMIN}/outcomes/{v['charged']}/void", {"reason": "wrong contract"}
    ),
    f"POST {ADMIN}/events/void": lambda v: Call(
        f"{ADMIN}/events/void", {"event_ids": [int(v["event"])], "reason": "sent twice"}
    ),
    f"GET {ADMIN}/webhooks": lambda v: Call(f"{ADMIN}/webhooks?customer_id={v['customer']}"),
    f"GET {ADMIN}/webhooks/{{id}}": lambda v: Call(f"{ADMIN}/webhooks/{v['webhook']}"),
    f"POST {ADMIN}/webhooks/{{id}}/replay": lambda v: Call(
        f"{ADMIN}/webhooks/{v['webhook']}/replay", {"since": v["recently"]}
    ),
    f"GET {ADMIN}/audit": lambda v: Call(f"{ADMIN}/audit?limit=20"),
    f"GET {ADMIN}/statements": lambda v: Call(f"{ADMIN}/statements?customer_id={v['customer']}&month={v['month']}"),
    f"GET {ADMIN}/invoices": lambda v: Call(f"{ADMIN}/invoices?state=final"),
    f"POST {ADMIN}/invoices/run": lambda v: Call(
        f"{ADMIN}/invoices/run", {"month": v["closed_month"], "dry_run": True}
    ),
    f"GET {ADMIN}/customers/{{customer_id}}/billing": lambda v: Call(f"{ADMIN}/customers/{v['customer']}/billing"),
    f"PUT {ADMIN}/customers/{{customer_id}}/billing": lambda v: Call(
        f"{ADMIN}/customers/{v['customer']}/billing",
        {"tax_percent": 19, "tax_reason": "German VAT", "payment_terms_days": 14},
    ),
    f"POST {ADMIN}/api-keys": lambda v: Call(
        f"{ADMIN}/api-keys", {"customer_id": v["customer"], "customer_name": "Acme Corp"}
    ),
    f"GET {ADMIN}/api-keys": lambda v: Call(f"{ADMIN}/api-keys"),
    f"GET {ADMIN}/api-keys/{{id}}": lambda v: Call(f"{ADMIN}/api-keys/{v['api_key']}"),
    f"DELETE {ADMIN}/api-keys/{{id}}": lambda v: Call(f"{ADMIN}/api-keys/{v['api_key']}"),
    f"POST {ADMIN}/pricing": lambda v: Call(
        f"{ADMIN}/pricing",
        {
            "customer_id": v["customer"],
            "action_type": f"translate-{v['new']}",
            "base_rate_cents": 0.5,
            "rates": {"input": {"rate": 250, "per": 1000000}},
            "outcome_bonus_cents": 25,
        },
    ),
    f"GET {ADMIN}/pricing": lambda v: Call(f"{ADMIN}/pricing?history=1"),
    f"DELETE {ADMIN}/pricing/{{id}}": lambda v: Call(f"{ADMIN}/pricing/{v['price']}"),
    f"POST {ADMIN}/pricing/bulk": lambda v: Call(
        f"{ADMIN}/pricing/bulk?preview=true", {"rows": [{"action_type": "completion", "base_rate_cents": 0.6}]}
    ),
    f"GET {ADMIN}/customers": lambda v: Call(f"{ADMIN}/customers"),
    f"GET {ADMIN}/customers/{{customer_id}}": lambda v: Call(f"{ADMIN}/customers/{v['customer']}"),
    f"PATCH {ADMIN}/customers/{{customer_id}}": lambda v: Call(
        f"{ADMIN}/customers/{v['customer']}", {"name": "Acme Corp", "external_ids": {"crm": "A-1"}}
    ),
    f"PUT {ADMIN}/customers/{{customer_id}}/billing-anchor": lambda v: Call(
        f"{ADMIN}/customers/{v['customer']}/billing-anchor", {"billing_anchor": 15}
    ),
    f"GET {ADMIN}/customers/{{customer_id}}/billing-anchor": lambda v: Call(
        f"{ADMIN}/customers/{v['customer']}/billing-anchor"
    ),
    f"POST {ADMIN}/budgets": lambda v: Call(
        f"{ADMIN}/budgets",
        {"customer_id": v["customer"], "scope": "all", "period": "month", "limit_cents": 500000, "hard": True},
    ),
    f"GET {ADMIN}/budgets": lambda v: Call(f"{ADMIN}/budgets?customer_id={v['customer']}"),
    f"DELETE {ADMIN}/budgets/{{id}}": lambda v: Call(f"{ADMIN}/budgets/{v['budget']}?customer_id={v['customer']}"),
    f"POST {ADMIN}/credits": lambda v: Call(
        f"{ADMIN}/credits", {"customer_id": v["customer"], "amount_cents": 10000, "reason": "Prepaid for the year"}
    ),
    f"GET {ADMIN}/credits": lambda v: Call(f"{ADMIN}/credits?customer_id={v['customer']}"),
    **{
        f"GET /api/dashboard/{name}": partial(_dashboard, name, query)
        for name, query in {
            "stats": "",
            "revenue-by-agent": "?period=7d",
            "revenue-by-customer": "?period=7d",
            "revenue-by-action": "?period=7d",
            "revenue-over-time": "?period=24h",
            "outcomes": "?period=30d",
            "signups": "?period=30d",
            "recent-events": "?limit=10",
        }.items()
    },
    f"POST {ADMIN}/pricing/replay": lambda v: Call(
        f"{ADMIN}/pricing/replay",
        {"from": f"{v['month']}-01", "changes": [{"action_type": "completion", "base_rate_cents": 0.6}]},
    ),
    f"GET {ADMIN}/unpriced": lambda v: Call(f"{ADMIN}/unpriced"),
    f"GET {ADMIN}/stripe/pushes": lambda v: Call(f"{ADMIN}/stripe/pushes"),
}
"""By method and path. What needs a final invoice or a Stripe account has none."""
