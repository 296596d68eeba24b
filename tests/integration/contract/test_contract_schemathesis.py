"""Every operation of /openapi.json, held by generated requests to what it says of itself.

On a stack of its own, since the requests set prices and delete keys. All operations and all
checks are in. What is given way to, and why:

- Valid data must be accepted, except where a rule cannot be said in JSON Schema
  (`beyond_the_schema`): a cursor is opaque, times are measured against the clock and each
  other, totals against their parts, rates by their decimals, a customer named twice is one,
  a reservation has an amount or an estimate,
  a task's name is no outcome's id, a payment is at most what is due, a verdict has one of two
  forms, a URL must be public, an event id is written without a point.
- What only fits by chance is made to fit in valid requests (`made_to_fit`): the outcome, event
  and endpoint that a path names, a time that fits, a URL that may be sent to, the key's
  own customer.
- A query parameter without a value is not sent, so what it would have made invalid is not.
- What clients of other products send (`Auth.CLIENT`) is described there by its path alone: the bodies are those
  products', and tests/unit/ingest/dialects holds them. So these operations are left out.
- `GET /openapi.json` and `GET /metrics` promise no JSON of ours, so of them only the status
  and the content type are looked at.
"""

import base64
import json
import re
import time
import unicodedata
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from bench.running_stack import RunningStack, wait_until
from ingest.app import table
from ingest.dialects.catalog import PREFIXES
from ingest.openapi import document
from ingest.passed_on import PASSED_ON
from ingest.routing import Auth
from schemas.limits import HOUR
from schemas.months import month_range
from schemas.objects import iso
from tests.integration.collector.closed_months import closed_month

pytestmark = pytest.mark.integration

EXAMPLES = 6
"""Random requests of each operation, beside those that cover its schema systematically."""
SPLIT = {
    *("tokens", "tokens_input", "tokens_output", "tokens_in", "tokens_out"),
    *("tokens_cache_read", "tokens_cache_write", "tokens_reasoning"),
}
TIMED = {"expires_at", "on_expiry", "timestamp", "effective_at"}
RATES = {
    *("base_rate_cents", "token_rate_cents", "outcome_bonus_cents", "price_on_success", "price_on_failure"),
    *("rates", "tiers", "rows", "limit_cents", "amount_cents", "minimum_cents", "cap_cents", "tier_mode"),
}
CUSTOMER = "contract"
MONTH = closed_month()
LISTED = {"action_type": "listed", "base_rate_cents": 1}
LATER, HOOK = "2090-01-01T00:00:00Z", "https://example.com/hook"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One `rev up` whose every action has a price."""
    secret_key = base64.b64encode(bytes(32)).decode()
    made = RunningStack(tmp_path_factory.mktemp("contract") / "data", {"REV_SECRET_KEY": secret_key})
    try:
        made.wait_ready()
        price = {"action_type": "*", "base_rate_cents": 1}
        # on a crowded machine the first change may take longer than it is waited for
        wait_until(lambda: made.call("POST", "/api/admin/pricing", price)[0] == 201, "every action has a price")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def secrets(running: RunningStack) -> dict[Auth, str]:
    """What each kind of caller carries."""
    return {Auth.KEY: running.make_key(CUSTOMER), Auth.ADMIN: running.admin_token}


@pytest.fixture(scope="module")
def places(running: RunningStack, secrets: dict[Auth, str]) -> dict[str, str]:
    """For each path that names something (or method and path), an id of such a thing that is there."""
    key = secrets[Auth.KEY]
    task = {"task_id": "contract", "agent_id": "a", "price_on_success": 5, "expires_at": LATER}
    outcome = _made(running, "/v1/outcomes", task, key)["outcome_id"]
    charged = _made(running, "/v1/outcomes", {**task, "task_id": "charged"}, key)["outcome_id"]
    assert running.call("POST", f"/v1/outcomes/{charged}/resolve", {"success": True}, key)[0] == 200
    event = _made(running, "/v1/meter", {"agent_id": "a", "action": "chat"}, key)["event_id"]
    held = _made(running, "/v1/reservations", {"amount_cents": 1, "ttl_seconds": 86_400}, key)["reservation_id"]
    invoices = _invoices(running, key)
    hooks = [_made(running, "/v1/webhooks", {"url": HOOK, "events": ["meter.created"]}, key)["id"] for _ in range(3)]
    wait_until(lambda: running.call("GET", f"/v1/events/{event}", None, key)[0] == 200, "the ledger has the event")
    return {
        "/v1/outcomes/{outcome_id}": outcome,
        "/v1/outcomes/{outcome_id}/resolve": outcome,
        **dict.fromkeys((f"/v1/reservations/{{reservation_id}}{end}" for end in ("", "/release")), held),
        "/api/admin/outcomes/{outcome_id}/void": charged,
        "/api/admin/events/{event_id}/void": str(event),
        **dict.fromkeys((f"/v1/webhooks/{{id}}{end}" for end in ("", "/rotate", "/test", "/replay")), str(hooks[0])),
        "DELETE /v1/webhooks/{id}": str(hooks[1]),
        "PATCH /v1/webhooks/{id}": str(hooks[2]),  # which may switch it off
        **dict.fromkeys((f"/api/admin/webhooks/{{id}}{end}" for end in ("", "/replay")), str(hooks[0])),
        "GET /api/admin/api-keys/{id}": str(running.call("GET", "/v1/key", None, key)[1]["id"]),
        **dict.fromkeys(
            (f"/api/admin/customers/{{customer_id}}{end}" for end in ("", "/billing", "/billing-anchor")), CUSTOMER
        ),
        "/api/admin/invoices/{number}/push": invoices[0],
        **dict.fromkeys(("/v1/invoices/{number}", "/api/admin/invoices/{number}"), invoices[0]),
        **{
            f"/api/admin/invoices/{{number}}/{end}": number
            for end, number in zip(("payments", "void", "uncollectible"), invoices, strict=True)
        },
    }


def _invoices(running: RunningStack, key: str) -> list[str]:
    """The numbers of three invoices, the first of the customer's own."""
    late = {"agent_id": "a", "action": "invoiced", "timestamp": iso(month_range(MONTH).end - 1000)}
    for secret in (key, *(running.make_key(f"{CUSTOMER} {number}") for number in (2, 3))):
        _made(running, "/v1/meter/batch", {"events": [late] * 100}, secret)

    def made(dry_run: bool) -> Any:
        return running.call("POST", "/api/admin/invoices/run", {"month": MONTH, "dry_run": dry_run})[1]

    wait_until(lambda: made(dry_run=True).get("total_cents") == 300, "the ledger has the events of the month")
    return sorted(one["number"] for one in made(dry_run=False)["largest"])


def _made(running: RunningStack, path: str, body: Any, key: str) -> Any:
    status, made = running.call("POST", path, body, key)
    assert status == 201, made
    return made


ROWS = [row.operation for row in table(cast(Any, None), cast(Any, None))]
"""Every operation; the handlers behind them are never called here."""
AUTH = {(row.method, row.path): row.auth for row in ROWS}
CONFIG = schemathesis.Config.from_dict(
    {"seed": 1, "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"}}
)
# made at import, since a test for each operation has to be known before a server runs
DOCUMENT = document(ROWS)
CLIENTS = rf"^/({'|'.join(PREFIXES)})/"
contract = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG).exclude(path_regex=CLIENTS)


def test_the_running_server_serves_this_description(running: RunningStack) -> None:
    """What is tested below is what /openapi.json says, but for what it passes on, whose bodies it does not describe."""
    described = document([*ROWS, *PASSED_ON])
    assert running.call("GET", "/openapi.json") == (200, json.loads(json.dumps(described)))


@contract.parametrize()
def test_every_operation_keeps_what_it_says_of_itself(
    case: schemathesis.Case, running: RunningStack, secrets: dict[Auth, str], places: dict[str, str]
) -> None:
    """No 5xx, no status, content type or body that is not described; what is invalid is refused,
    also without credentials; what is valid is accepted."""
    auth = AUTH[case.operation.method.upper(), case.operation.path]
    headers = {"Authorization": f"Bearer {secrets[auth]}"} if auth in secrets else None
    made_to_fit(case, places)
    given_way = [positive_data_acceptance] if beyond_the_schema(case) else []
    if not is_sent(case):
        given_way.append(negative_data_rejection)
    case.call_and_validate(base_url=running.http, headers=headers, excluded_checks=given_way)


def made_to_fit(case: schemathesis.Case, places: dict[str, str]) -> None:
    """Give a valid request a place that is there, a time that is ahead and a public URL."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    path = case.operation.path
    place = places.get(f"{case.operation.method.upper()} {path}", places.get(path))
    if place is not None:
        case.path_parameters = dict.fromkeys(case.path_parameters, place)
    if isinstance(case.body, dict):
        for name, fitting in (
            *(("expires_at", LATER), ("url", HOOK), ("customer_id", CUSTOMER)),
            *(("limit_cents", "5"), ("amount_cents", "5")),
        ):
            if isinstance(case.body.get(name), str):
                case.body = {**case.body, name: fitting}
        if isinstance(case.body.get("month"), str):
            case.body = {**case.body, "month": MONTH}
        if "rows" in case.body:
            case.body = {"rows": [LISTED]}
        if isinstance(case.body.get("since"), str):
            case.body = {"since": iso(time.time_ns() // 1_000_000 - HOUR)}
    if "customer_id" in (case.query or {}):
        case.query = {**case.query, "customer_id": CUSTOMER}


def is_sent(case: schemathesis.Case) -> bool:
    """Whether every query parameter reaches the server as it was generated. A client leaves out those without a value,
    and sends the members of an object and a list's only value like plain parameters."""
    query = (case.query or {}).values()
    return not any(
        value is None or isinstance(value, dict) or (isinstance(value, list) and len(value) < 2) for value in query
    )


def beyond_the_schema(case: schemathesis.Case) -> bool:
    """Whether a request that fits the schema may still break a rule that no schema can say."""
    query = case.query or {}
    if not all(unicodedata.is_normalized("NFC", text) for text in _texts([case.body, dict(query)])):
        return True
    if "cursor" in query or {"from", "to", "month", "as_of"} & query.keys():
        return True
    body = case.body if isinstance(case.body, dict) else {}
    if "customer_id" in query and "customer_id" in body:
        return True
    if _has_whole_float(case.body):
        return True
    events = _list(body, "events") or [body]
    path = case.operation.path
    if path.endswith(("/payments", "/push", "/billing", "/stripe/webhook")):
        return True  # at most what is due; nothing is pushed without Stripe; a rate of tax has a reason; a signature
    if (
        path in ("/v1/explain", "/v1/reservations")
        or path.startswith(("/v1/webhooks", "/api/admin/webhooks"))
        or path.endswith("/resolve")
        or str(body.get("task_id", "")).startswith("oc_")
    ):
        return True
    return bool(RATES & body.keys()) or any(_of_event(event) for event in events if isinstance(event, dict))


def _has_whole_float(value: Any) -> bool:
    """Whether a number is written like 1.0: an integer to JSON Schema, and refused where an integer must be."""
    if isinstance(value, dict | list):
        return any(map(_has_whole_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and value.is_integer()


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(part)


def _list(body: dict[str, Any], name: str) -> list[Any]:
    found = body.get(name)
    return found if isinstance(found, list) else []


def _of_event(event: dict[str, Any]) -> bool:
    return len(SPLIT & event.keys()) > 1 or bool(TIMED & event.keys())


def test_every_operation_was_reached_and_nothing_was_an_unexpected_error(running: RunningStack) -> None:
    """Everything was let in and answered, what takes a body both accepted and refused; no bug was counted."""
    with urllib.request.urlopen(f"{running.http}/metrics", timeout=15) as answer:
        text = answer.read().decode()
    assert "\nrev_ingest_unexpected_errors_total 0.0\n" in text
    answered: dict[tuple[str, str], set[int]] = {}
    for method, path, status in re.findall(
        r'^rev_ingest_request_seconds_count\{method="(.*)",route="(.*)",status="(.*)"\}', text, re.M
    ):
        answered.setdefault((method, path), set()).add(int(status))
    for row in (row for row in ROWS if row.auth is not Auth.CLIENT):
        statuses = answered[row.method, row.path]
        assert statuses & {200, 201, 202, 404}, row
        assert row.auth is Auth.NONE or 401 in statuses, row
        assert row.body is None or (statuses & {200, 201, 202} and 400 in statuses), row
    assert running.call("GET", "/readyz") == (200, {"ready": True, "reasons": [], "degraded": []})
