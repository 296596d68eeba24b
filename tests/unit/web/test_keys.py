"""/keys: a key is shown once, and revoked after a question."""

from typing import Any

import pytest

from tests.unit.web.conftest import Server
from tests.unit.web.fake_gateway import FakeGateway
from web.web_refusals import Refusal, invalid

LIST = "GET /api/admin/api-keys?limit=50"
ALL = "GET /api/admin/api-keys?limit=1000"
SECRET = "rg_0123456789abcdef"


@pytest.fixture
def gateway(server: Server, monkeypatch: pytest.MonkeyPatch) -> FakeGateway:
    made = FakeGateway(server, monkeypatch)
    made.answers[LIST] = made.answers[ALL] = page(key(1), key(2, is_active=False, test=True), key(3, customer_id="*"))
    return made


def key(id: int, **changes: Any) -> dict[str, Any]:
    made = {
        "id": id,
        "customer_id": "acme/corp",
        "customer_name": "<b>Acme</b>",
        "api_key_masked": f"rg_000{id}...f6g7",
        "is_active": True,
        "test": False,
        "created_at": "2026-04-26T12:00:00.000Z",
        "last_used_at": None,
    }
    return {**made, **changes}


def page(*keys: dict[str, Any], cursor: str | None = None) -> dict[str, Any]:
    return {"keys": list(keys), "next_cursor": cursor}


async def test_keys_are_listed_with_their_state(server: Server, gateway: FakeGateway) -> None:
    status, _, text = await server.get("/keys", **server.signed_in())
    assert status == 200
    assert text.count("/revoke") == 2 and "every customer" in text
    assert "&lt;b&gt;Acme&lt;/b&gt;" in text and 'href="/customers/acme%2Fcorp"' in text
    assert ">revoked<" in text and ">test<" in text and ">never<" in text


async def test_a_long_list_has_a_link_to_older_keys(server: Server, gateway: FakeGateway) -> None:
    gateway.answers[LIST] = page(key(9), cursor="a&b")
    _, _, text = await server.get("/keys", **server.signed_in())
    assert 'href="/keys?cursor=a%26b"' in text
    gateway.answers[f"{LIST}&cursor=a%26b"] = page()
    _, _, text = await server.get("/keys?cursor=a%26b", **server.signed_in())
    assert "Show older" not in text


async def test_a_new_key_is_shown_once_and_kept_by_no_cache(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["POST /api/admin/api-keys"] = {**key(4), "api_key": SECRET}
    fields = {"customer_id": " acme/corp ", "customer_name": "", "test": "1"}
    status, headers, text = await server.submit("/keys", **fields)
    assert (status, headers["Cache-Control"]) == (201, "no-store")
    assert text.count(SECRET) == 1 and "data-copy" in text
    asked = {"customer_id": "acme/corp", "customer_name": None, "test": True}
    assert gateway.calls == [("POST /api/admin/api-keys", asked)]
    _, _, text = await server.get("/keys", **server.signed_in())
    assert SECRET not in text


async def test_a_refused_key_keeps_what_was_typed(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["POST /api/admin/api-keys"] = invalid("customer_id must not begin with _")
    status, _, text = await server.submit("/keys", customer_id="_x", customer_name="<i>", test="1")
    assert status == 400 and "customer_id must not begin with _" in text
    assert 'value="_x"' in text and 'value="&lt;i&gt;"' in text and " checked" in text
    gateway.answers["POST /api/admin/api-keys"] = Refusal(503, "unknown", "check before you repeat it")
    assert (await server.submit("/keys", customer_id="x"))[0] == 503


async def test_revoking_asks_first(server: Server, gateway: FakeGateway) -> None:
    gateway.answers["GET /api/admin/api-keys/1"] = key(1)
    gateway.answers["GET /api/admin/api-keys/2"] = key(2, is_active=False)
    gateway.answers["GET /api/admin/api-keys/77"] = Refusal(404, "not_found", "there is no API key 77")
    status, _, text = await server.get("/keys/1/revoke", **server.signed_in())
    assert status == 200 and "Revoke this key?" in text and "rg_0001...f6g7" in text
    assert all(call.startswith("GET ") for call, _ in gateway.calls)
    gateway.answers["DELETE /api/admin/api-keys/1"] = {"success": True}
    status, headers, _ = await server.submit("/keys/1/revoke")
    assert (status, headers["Location"]) == (303, "/keys?done=1")
    assert gateway.calls[-1][0] == "DELETE /api/admin/api-keys/1"
    _, _, text = await server.get("/keys?done=1", **server.signed_in())
    assert "The key is revoked" in text
    assert "It is already revoked" in (await server.get("/keys/2/revoke", **server.signed_in()))[2]
    assert (await server.get("/keys/77/revoke", **server.signed_in()))[0] == 404
    assert (await server.get("/keys/x/revoke", **server.signed_in()))[0] == 404


async def test_a_form_without_its_token_changes_nothing(server: Server, gateway: FakeGateway) -> None:
    for path in ("/keys", "/keys/1/revoke"):
        assert (await server.send("POST", path, {"customer_id": "x"}, **server.signed_in()))[0] == 403
    assert gateway.calls == []
