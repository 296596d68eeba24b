"""Bad requests about outcomes as a table, as tests/unit/ingest/bad_input.py has those of metering."""

from typing import Any

from schemas.objects import iso
from schemas.settings import MAX_TTL
from tests.unit.ingest.bad_input import Bad, deep

OUTCOME, RESOLVE = "/v1/outcomes", "/v1/outcomes/t/resolve"
LARGE = {"x": "y" * (17 << 10)}
THIRTEEN = "0." + "1" * 13
TWO_KEYS = "Idempotency-Key and idempotency_key must be equal"
TWO_PROOFS = "evidence and metadata must be equal; send only one of them"


def task(**more: Any) -> dict[str, Any]:
    return {"task_id": "t", "agent_id": "a", "price_on_success": 1, "expires_at": "2090-01-01T00:00:00Z", **more}


OUTCOMES = [
    Bad("nothing", 400, "task_id is required", {}, OUTCOME),
    Bad("a list", 400, "JSON object", b"[]", OUTCOME),
    Bad("malformed", 400, "not valid JSON", b'{"task_id":', OUTCOME),
    Bad("not UTF-8", 400, "UTF-8", b'{"task_id":"\xff"}', OUTCOME),
    Bad("task_id null", 400, "task_id is required", task(task_id=None), OUTCOME),
    Bad("task_id a number", 400, "task_id must be a string", task(task_id=7), OUTCOME),
    Bad("task_id empty", 400, "task_id must have 1 to 256", task(task_id=""), OUTCOME),
    Bad("task_id of 300", 400, "task_id must have 1 to 256", task(task_id="x" * 300), OUTCOME),
    Bad("task_id control", 400, "task_id must not contain control", task(task_id="a\nb"), OUTCOME),
    Bad("task_id an outcome's", 400, "task_id must not begin with oc_", task(task_id="oc_5"), OUTCOME),
    Bad("task_id a dot", 400, "task_id must not be", task(task_id="."), OUTCOME),
    Bad("task_id dots", 400, "task_id must not be", task(task_id=".."), OUTCOME),
    Bad("task_id lone surrogate", 400, "surrogate", b'{"task_id":"\\ud800"}', OUTCOME),
    Bad("agent_id absent", 400, "agent_id is required", task(agent_id=None), OUTCOME),
    Bad("agent_id control", 400, "agent_id must not contain control", task(agent_id="\x00"), OUTCOME),
    Bad("price absent", 400, "price_on_success is required", task(price_on_success=None), OUTCOME),
    Bad("price negative", 400, "price_on_success must", task(price_on_success=-1), OUTCOME),
    Bad("price of 13 decimals", 400, "price_on_success must have at most 12", task(price_on_success=THIRTEEN), OUTCOME),
    Bad("price too high", 400, "price_on_success must be at most", task(price_on_success=10**9 + 1), OUTCOME),
    Bad("price true", 400, "price_on_success must be a number", task(price_on_success=True), OUTCOME),
    Bad("price NaN", 400, "not valid JSON", b'{"task_id":"t","price_on_success":NaN}', OUTCOME),
    Bad("price NaN in text", 400, "price_on_success must be a number", task(price_on_success="NaN"), OUTCOME),
    Bad("price 1e400", 400, "price_on_success", b'{"task_id":"t","agent_id":"a","price_on_success":1e400}', OUTCOME),
    Bad("price an object", 400, "price_on_success must be a number", task(price_on_success={}), OUTCOME),
    Bad("failure price negative", 400, "price_on_failure must", task(price_on_failure="-0.5"), OUTCOME),
    Bad("failure price of 13 decimals", 400, "price_on_failure must have", task(price_on_failure="1e-13"), OUTCOME),
    Bad("expires_at absent", 400, "expires_at is required", task(expires_at=None), OUTCOME),
    Bad("expires_at naive", 400, "expires_at must have a time zone", task(expires_at="2099-01-01T00:00:00"), OUTCOME),
    Bad("expires_at a number", 400, "expires_at must be a string", task(expires_at=4070908800), OUTCOME),
    Bad("expires_at long past", 400, "must be in the future", task(expires_at="2020-01-01T00:00:00Z"), OUTCOME),
    Bad("expires_at far", 400, "must be at most 36500 days", task(expires_at="9999-01-01T00:00:00Z"), OUTCOME),
    Bad("on_expiry unknown", 400, "on_expiry must be one of", task(on_expiry="pending"), OUTCOME),
    Bad("criteria a string", 400, "success_criteria must be a JSON object", task(success_criteria="x"), OUTCOME),
    Bad("criteria of 17 KiB", 400, "success_criteria must be at most", task(success_criteria=LARGE), OUTCOME),
    Bad("criteria 65 deep", 400, "nested", b'{"task_id":"t","agent_id":"a","price_on_success":1,'
        b'"expires_at":"2090-01-01T00:00:00Z","success_criteria":' + deep(65).encode() + b"}", OUTCOME),
    Bad("misspelt price", 400, "did you mean 'price_on_success'", task(price_on_succes=5), OUTCOME),
    Bad("unknown field", 400, "unknown field 'metadata'", task(metadata={}), OUTCOME),
    Bad("key control", 400, "idempotency_key", task(idempotency_key="\t"), OUTCOME),
    Bad("two keys", 400, TWO_KEYS, task(idempotency_key="a"), OUTCOME, {"Idempotency_Key": "b"}),
    Bad("another customer", 403, "customer_id", task(customer_id="other"), OUTCOME),
    Bad("unknown parameter", 400, "unknown query parameter", task(), OUTCOME + "?x=1"),
    Bad("body too large", 413, "larger", b" " * (1 << 20) + b"{}", OUTCOME),
    Bad("media type", 415, "Content-Type", task(), OUTCOME, {"Content_Type": "text/plain"}),
    Bad("nothing", 400, "success is required", {}, RESOLVE),
    Bad("success null", 400, "success is required", {"success": None}, RESOLVE),
    Bad("success a number", 400, "success must be true or false", {"success": 1}, RESOLVE),
    Bad("success text", 400, "success must be true or false", {"success": "true"}, RESOLVE),
    Bad("outcome pending", 400, "outcome must be one of failure, success", {"outcome": "pending"}, RESOLVE),
    Bad("outcome true", 400, "outcome must be", {"outcome": True}, RESOLVE),
    Bad("forms contradict", 400, "contradict", {"success": True, "outcome": "failure"}, RESOLVE),
    Bad("forms contradict", 400, "contradict", {"success": False, "outcome": "success"}, RESOLVE),
    Bad("two proofs", 400, TWO_PROOFS, {"success": True, "evidence": {"x": 1}, "metadata": {"x": 2}}, RESOLVE),
    Bad("evidence a list", 400, "evidence must be a JSON object", {"success": True, "evidence": []}, RESOLVE),
    Bad("evidence of 17 KiB", 400, "evidence must be at most", {"success": True, "evidence": LARGE}, RESOLVE),
    Bad("metadata of 17 KiB", 400, "metadata must be at most", {"outcome": "success", "metadata": LARGE}, RESOLVE),
    Bad("evidence NaN", 400, "not valid JSON", b'{"success":true,"evidence":{"x":NaN}}', RESOLVE),
    Bad("misspelt", 400, "did you mean 'success'", {"succes": True}, RESOLVE),
    Bad("unknown field", 400, "unknown field 'task_id'", {"success": True, "task_id": "t"}, RESOLVE),
    Bad("key empty", 400, "idempotency_key", {"success": True, "idempotency_key": ""}, RESOLVE),
    Bad("two keys", 400, TWO_KEYS, {"success": True, "idempotency_key": "a"}, RESOLVE, {"Idempotency_Key": "b"}),
    Bad("another customer", 403, "customer_id", {"success": True, "customer_id": "other"}, RESOLVE),
    Bad("a name too long", 404, "no such outcome", {"success": True}, f"/v1/outcomes/{'x' * 300}/resolve"),
    Bad("a name with a control", 404, "no such outcome", {"success": True}, "/v1/outcomes/a%0Ab/resolve"),
    Bad("wrong method", 405, "method", {"success": True}, RESOLVE, {"method": "PUT"}),
    Bad("no task", 404, "this path does not exist", {"success": True}, "/v1/outcomes//resolve"),
]  # fmt: skip


def timed(now: int, slack: int = 0) -> list[Bad]:
    """Rows that depend on the gateway's clock: ``now`` in ms, and by how many ms at most it is ahead."""
    beyond = now + MAX_TTL + 1 + slack
    return [
        Bad("expires_at past", 400, "expires_at must be in the future", task(expires_at=iso(now)), OUTCOME),
        Bad("expires_at beyond 100 years", 400, "36500 days", task(expires_at=iso(beyond)), OUTCOME),
    ]
