"""Every operation of /openapi.json, held by generated requests to what it says of itself.

On a stack of its own, since the requests set prices and delete keys. All operations and all
checks are in. What is given way to, and why:

- Valid data must be accepted, except where a rule cannot be said in JSON Schema
  (`beyond_the_schema`): a cursor is opaque, times are measured against the clock and each
  other, totals against their parts, rates by their decimals, a customer named twice is one.
- `GET /openapi.json` and `GET /metrics` promise no JSON of ours, so of them only the status
  and the content type are looked at.
"""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bench.running import Running
from ingest.app import table
from ingest.openapi import document
from ingest.routing import Auth

pytestmark = pytest.mark.integration

EXAMPLES = 40
"""Random requests of each operation, beside those that cover its schema systematically."""
SPLIT = {"tokens", "tokens_input", "tokens_output", "tokens_in", "tokens_out"}
TIMED = {"expires_at", "on_expiry", "timestamp"}
RATES = {"base_rate_cents", "token_rate_cents", "outcome_bonus_cents"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One `rev up` whose every action has a price."""
    made = Running(tmp_path_factory.mktemp("contract") / "data")
    try:
        made.wait_ready()
        assert made.call("POST", "/api/admin/pricing", {"action_type": "*", "base_rate_cents": 1})[0] == 201
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def secrets(running: Running) -> dict[Auth, str]:
    """What each kind of caller carries."""
    return {Auth.KEY: running.make_key("contract"), Auth.ADMIN: running.admin_token}


ROWS = [row.operation for row in table(cast(Any, None), cast(Any, None))]
"""Every operation; the handlers behind them are never called here."""
AUTH = {(row.method, row.path): row.auth for row in ROWS}
CONFIG = schemathesis.Config.from_dict(
    {"seed": 1, "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"}}
)
# made at import, since a test for each operation has to be known before a server runs
DOCUMENT = document(ROWS)
contract = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


def test_the_running_server_serves_this_description(running: Running) -> None:
    """What is tested below is what /openapi.json says."""
    assert running.call("GET", "/openapi.json") == (200, json.loads(json.dumps(DOCUMENT)))


@contract.parametrize()
def test_every_operation_keeps_what_it_says_of_itself(
    case: schemathesis.Case, running: Running, secrets: dict[Auth, str]
) -> None:
    """No 5xx, no status, content type or body that is not described; what is invalid is refused,
    also without credentials; what is valid is accepted."""
    auth = AUTH[case.operation.method.upper(), case.operation.path]
    headers = {"Authorization": f"Bearer {secrets[auth]}"} if auth in secrets else None
    given_way = [positive_data_acceptance] if beyond_the_schema(case) else []
    case.call_and_validate(base_url=running.http, headers=headers, excluded_checks=given_way)


def beyond_the_schema(case: schemathesis.Case) -> bool:
    """Whether a request that fits the schema may still break a rule that no schema can say."""
    query = case.query or {}
    if "cursor" in query or {"from", "to"} & query.keys():
        return True
    body = case.body if isinstance(case.body, dict) else {}
    if "customer_id" in query and "customer_id" in body:
        return True
    events = body.get("events") or [body]
    return bool(RATES & body.keys()) or any(_of_event(event) for event in events if isinstance(event, dict))


def _of_event(event: dict[str, Any]) -> bool:
    return len(SPLIT & event.keys()) > 1 or bool(TIMED & event.keys())


def test_every_operation_was_reached_and_nothing_was_an_unexpected_error(running: Running) -> None:
    """Everything was let in and answered, what takes a body both accepted and refused; no bug was counted."""
    with urllib.request.urlopen(f"{running.http}/metrics", timeout=15) as answer:
        text = answer.read().decode()
    assert "\nrev_ingest_unexpected_errors_total 0.0\n" in text
    answered: dict[tuple[str, str], set[int]] = {}
    for method, path, status in re.findall(
        r'^rev_ingest_request_seconds_count\{method="(.*)",route="(.*)",status="(.*)"\}', text, re.M
    ):
        answered.setdefault((method, path), set()).add(int(status))
    for row in ROWS:
        statuses = answered[row.method, row.path]
        assert statuses & {200, 201, 404}, row
        assert row.auth is Auth.NONE or 401 in statuses, row
        assert row.body is None or (statuses & {200, 201} and 400 in statuses), row
    assert running.call("GET", "/readyz") == (200, {"ready": True, "reasons": [], "degraded": []})
