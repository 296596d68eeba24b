"""Whatever is sent: a 4xx that names what is wrong, in one shape, and nothing in the log."""

from typing import Any

import pytest

from tests.unit.ingest.bad_input import BATCH, BATCHES, CREDENTIALS, EVENTS, GOOD, Bad, batch, clocked, event
from tests.unit.ingest.bad_outcomes import OUTCOMES, timed

ADMIN = "the-admin-token"
NOW = 1_777_204_800_000
"""The gateway's clock: 2026-04-26T12:00:00.000Z."""


@pytest.mark.parametrize(
    "bad", EVENTS + clocked(NOW) + BATCHES + OUTCOMES + timed(NOW), ids=lambda bad: f"{bad.path[:15]} {bad.name}"
)
async def test_bad_input_is_refused_and_named_and_nothing_is_appended(gateway: Any, key: str, bad: Bad) -> None:
    """The status, the words that name the field, the one shape of errors, and an untouched log."""
    before = len(gateway.log.values())
    headers = dict(bad.headers)
    answer = await gateway.call(headers.pop("method", "POST"), bad.path, bad.body, key, **headers)
    assert answer.status == bad.status, answer.text
    assert bad.says in answer.json["error"]
    assert answer.json["code"] and answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert len(gateway.log.values()) == before


async def test_a_batch_says_all_that_is_wrong_with_it(gateway: Any, key: str) -> None:
    """Errors by index, whether the decoder or the rules found them; nothing is recorded."""
    before = len(gateway.log.values())
    wrong = batch(GOOD, {"action": "chat"}, event(action="outcome_charge"), GOOD)
    answer = await gateway.call("POST", BATCH, wrong, key)
    assert [error["index"] for error in answer.json["errors"]] == [1, 2]
    typed = await gateway.call("POST", BATCH, batch(event(tokens=-1), GOOD, event(tokns=1), 7), key)
    assert [error["index"] for error in typed.json["errors"]] == [0, 2, 3]
    assert "did you mean 'tokens'" in typed.json["errors"][1]["error"]
    unpriced = await gateway.call("POST", BATCH, batch(event(action="x"), GOOD), key)
    assert unpriced.json["errors"] == [{"index": 0, "error": "no price for action 'x'"}]
    assert {answer.status, typed.status, unpriced.status} == {400}
    assert len(gateway.log.values()) == before


@pytest.mark.parametrize("header", CREDENTIALS)
async def test_without_a_known_key_401_comes_before_anything_else(gateway: Any, header: str) -> None:
    """Even with a wrong body, type and parameter."""
    answer = await gateway.call("POST", "/v1/meter?x=1", b"{", None, Authorization=header, Content_Type="text/plain")
    assert (answer.status, answer.json["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_no_header_at_all_is_401(gateway: Any) -> None:
    """An absent Authorization header."""
    assert (await gateway.call("POST", "/v1/meter", GOOD)).status == 401


async def test_a_revoked_key_is_401(gateway: Any, key: str) -> None:
    """From the answer of the revocation on."""
    assert (await gateway.call("DELETE", "/api/admin/api-keys/1", None, ADMIN)).status == 200
    assert (await gateway.call("POST", "/v1/meter", GOOD, key)).status == 401


async def test_a_platform_key_must_name_a_customer_that_can_be_one(gateway: Any) -> None:
    """No customer, a reserved one, one that begins with an underscore."""
    platform = await gateway.make_key("*")
    before = len(gateway.log.values())
    for customer, says in [(None, "required"), ("*", "reserved"), ("_config", "reserved"), ("a\n", "control")]:
        answer = await gateway.call("POST", "/v1/meter", event(customer_id=customer), platform)
        assert answer.status == 400 and says in answer.json["error"]
    assert len(gateway.log.values()) == before


async def test_a_view_that_nobody_confirmed_lets_no_key_in(gateway: Any, key: str) -> None:
    """After 1 s without a fetch: 503 not_recorded, and /readyz says why."""
    gateway.log.age = 1.5
    answer = await gateway.call("POST", "/v1/meter", GOOD, key)
    assert (answer.status, answer.json["code"]) == (503, "not_recorded")
    ready = await gateway.call("GET", "/readyz")
    assert ready.status == 503 and "config" in ready.json["reasons"][0]


async def test_an_unexpected_error_is_a_500_that_is_counted(gateway: Any, key: str) -> None:
    """The shape stays, the words give nothing away."""
    gateway.log.error = RuntimeError("secret detail")
    answer = await gateway.call("POST", "/v1/meter", GOOD, key)
    assert (answer.status, answer.json["code"]) == (500, "internal")
    assert "secret" not in answer.text
    figures = (await gateway.call("GET", "/metrics")).text
    line = next(line for line in figures.splitlines() if line.startswith("rev_ingest_unexpected_errors_total"))
    assert float(line.split()[1]) >= 1
