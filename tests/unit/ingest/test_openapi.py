"""The description is made of the same rows and structs as the application."""

import re
from typing import Any

import jsonschema

from ingest.passed_on import PASSED_ON

REFUSALS = {"400", "401", "403", "404", "409", "413", "415", "429", "503"}


async def described(gateway: Any) -> dict[str, Any]:
    answer = await gateway.call("GET", "/openapi.json")
    assert answer.status == 200
    document: dict[str, Any] = answer.json
    return document


async def test_every_route_is_described_and_every_description_is_served(gateway: Any) -> None:
    """No path of the document is a 404 or 405, and the routes of all rooms are there; but for what `rev web` answers,
    which is not here (tests/unit/deploy/test_reference.py holds it)."""
    document = await described(gateway)
    for path in ("/v1/meter", "/v1/meter/batch", "/v1/pricing", "/v1/events/{event_id}", "/api/admin/pricing/{id}"):
        assert path in document["paths"]
    passed_on = {one.path for one in PASSED_ON}
    assert passed_on < document["paths"].keys()
    for path, methods in document["paths"].items():
        for method, operation in methods.items() if path not in passed_on else ():
            answer = await gateway.call(method.upper(), re.sub(r"{\w+}", "1", path))
            assert answer.status not in (404, 405, 500), (method, path, answer.text)
            if operation.get("security"):
                assert answer.status == 401
                assert set(operation["responses"]) >= REFUSALS


async def test_a_real_answer_fits_its_schema_and_so_does_a_refusal(gateway: Any, key: str) -> None:
    """POST /v1/meter, its 400, and the key list, held against the document."""
    document = await described(gateway)
    event = {"agent_id": "a", "action": "completion", "tokens": 3, "metadata": {"x": 1}}
    for method, path, body, secret, status in [
        ("POST", "/v1/meter", event, key, "201"),
        ("POST", "/v1/meter", {}, key, "400"),
        ("POST", "/v1/meter/batch", {"events": [event]}, key, "201"),
        ("GET", "/api/admin/api-keys", None, "the-admin-token", "200"),
        ("GET", "/api/admin/pricing", None, "the-admin-token", "200"),
    ]:
        operation = document["paths"][path][method.lower()]
        answer = await gateway.call(method, path, body, secret)
        assert str(answer.status) == status
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json, {**schema, "components": document["components"]})
        if body is not None and status != "400":
            asked = operation["requestBody"]["content"]["application/json"]["schema"]
            jsonschema.validate(body, {**asked, "components": document["components"]})


async def test_required_fields_of_requests_are_described(gateway: Any) -> None:
    """What the validation asks for is required in the schema, and null is not allowed there."""
    schemas = (await described(gateway))["components"]["schemas"]
    assert schemas["EventBody"]["required"] == ["agent_id", "action"]
    assert schemas["EventBody"]["additionalProperties"] is False
    assert schemas["BatchBody"]["required"] == ["events"]
    assert schemas["KeyBody"]["required"] == ["customer_id"]
    assert schemas["PriceBody"]["required"] == ["action_type"]
