"""/v1/webhooks: endpoints over HTTP, before a log in memory that the real pricer decides."""

from typing import Any

import pytest

from schemas import config
from schemas.secrets import SecretBox
from tests.unit.ingest.conftest import ADMIN, NOW, Gateway
from warehouse.rows import DeliveryRow

URL = "https://example.com/hook"
BODY = {"url": URL, "events": ["meter.created", "outcome.succeeded"]}


async def make(gateway: Gateway, key: str, **more: Any) -> dict[str, Any]:
    answer = await gateway.call("POST", "/v1/webhooks", {**BODY, **more}, key)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def kept(gateway: Gateway, id: int) -> config.Webhook:
    return gateway.context.view.webhooks[id]


def attempt(outcome: str, **more: Any) -> DeliveryRow:
    """An attempt as the ledger has it."""
    row: dict[str, Any] = {
        "log_partition": 0,
        "log_offset": 0,
        "delivery_id": "d",
        "event_id": "evt_5",
        "type": "meter.created",
        "partition": 1,
        "offset": 2,
        "index": 3,
        "attempt": 1,
        "at": NOW,
        "outcome": outcome,
        "latency": 9,
        "status": None,
        "error": "",
        "answer": "",
        "next_at": None,
        "replay": False,
        "gap": False,
        "reason": "",
        "since": 0,
        "until": 0,
    }
    return DeliveryRow(**{**row, **more})


async def test_a_webhook_shows_its_secret_once(gateway: Gateway) -> None:
    """The answer to the creation has it; the log and every later answer do not."""
    key = await gateway.make_key("acme")
    made = await make(gateway, key)
    assert set(made) == {
        "id", "customer_id", "url", "events", "active", "disabled", "created_at", "rotated_at", "test", "secret",
    }  # fmt: skip
    assert (made["customer_id"], made["url"], made["events"], made["active"]) == ("acme", URL, BODY["events"], True)
    secret = made["secret"]
    assert secret.startswith("whsec_")
    assert SecretBox(bytes(32)).decrypt(kept(gateway, made["id"]).secret) == secret
    assert not any(secret.encode() in record.value for raw in gateway.log.raw for record in raw)
    listed = await gateway.call("GET", "/v1/webhooks", key=key)
    assert listed.json["webhooks"] == [{name: value for name, value in made.items() if name != "secret"}]
    assert listed.json["next_cursor"] is None
    one = await gateway.call("GET", f"/v1/webhooks/{made['id']}", key=key)
    assert one.json == listed.json["webhooks"][0]


async def test_a_rotation_shows_the_new_secret_once(gateway: Gateway) -> None:
    """The one before stays beside it in the view."""
    key = await gateway.make_key("acme")
    made = await make(gateway, key)
    before = kept(gateway, made["id"]).secret
    gateway.now += 1000
    answer = await gateway.call("POST", f"/v1/webhooks/{made['id']}/rotate", key=key)
    assert answer.status == 200
    after = kept(gateway, made["id"])
    assert SecretBox(bytes(32)).decrypt(after.secret) == answer.json["secret"]
    assert (after.previous, after.rotated_at) == (before, gateway.now)


async def test_an_endpoint_is_changed_and_deleted(gateway: Gateway) -> None:
    """PATCH changes what it names; DELETE leaves nothing to be found."""
    key = await gateway.make_key("acme")
    id = (await make(gateway, key))["id"]
    answer = await gateway.call("PATCH", f"/v1/webhooks/{id}", {"events": ["*", "*"], "active": False}, key)
    assert (answer.status, answer.json["events"], answer.json["active"], answer.json["url"]) == (200, ["*"], False, URL)
    gone = await gateway.call("DELETE", f"/v1/webhooks/{id}", key=key)
    assert (gone.status, gone.json) == (200, {"success": True, "deleted_id": id})
    for method in ("GET", "DELETE", "PATCH"):
        body = {"active": True} if method == "PATCH" else None
        assert (await gateway.call(method, f"/v1/webhooks/{id}", body, key)).status == 404


async def test_an_endpoint_belongs_to_its_customer(gateway: Gateway) -> None:
    """Another customer's key finds nothing; a platform's key names the customer."""
    id = (await make(gateway, await gateway.make_key("acme")))["id"]
    other, platform = await gateway.make_key("other"), await gateway.make_key("*")
    assert (await gateway.call("GET", "/v1/webhooks", key=other)).json["webhooks"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/test"), ("GET", "/deliveries")):
        assert (await gateway.call(method, f"/v1/webhooks/{id}{path}", key=other)).status == 404
    assert (await gateway.call("GET", "/v1/webhooks?customer_id=acme", key=other)).status == 403
    assert (await gateway.call("GET", "/v1/webhooks", key=platform)).status == 400
    assert (await gateway.call("GET", f"/v1/webhooks/{id}?customer_id=acme", key=platform)).status == 200
    assert (await make(gateway, platform, customer_id="acme"))["customer_id"] == "acme"


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"events": ["*"]}, "url"),
        ({"url": URL}, "events"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": ["meter.create"]}, "events[0]"),
        ({"url": URL, "events": "*"}, "events"),
        ({"url": URL, "event": ["*"], "events": ["*"]}, "event"),
        ({"url": 7, "events": ["*"]}, "url"),
        ({"url": "http://example.com/", "events": ["*"]}, "url"),
        ({"url": "https://127.0.0.1/", "events": ["*"]}, "url"),
        ({"url": "https://[::1]/", "events": ["*"]}, "url"),
        ({"url": "https://0x7f000001/", "events": ["*"]}, "url"),
        ({"url": "https://user:pw@example.com/", "events": ["*"]}, "url"),
        ({"url": "https://example.com:25/", "events": ["*"]}, "url"),
        ({"url": "https://example.com/" + "x" * 3000, "events": ["*"]}, "url"),
        ({"url": URL, "events": ["*"], "customer_id": "_config"}, "customer_id"),
    ],
)
async def test_a_bad_endpoint_is_refused_and_named(gateway: Gateway, body: dict[str, Any], names: str) -> None:
    """A clear 400, and nothing is appended."""
    key = await gateway.make_key("acme")
    before = sum(map(len, gateway.log.raw))
    answer = await gateway.call("POST", "/v1/webhooks", body, key)
    assert (answer.status in (400, 403), names in answer.json["error"]) == (True, True), answer.text
    assert sum(map(len, gateway.log.raw)) == before


async def test_what_was_delivered_is_listed_by_pages(gateway: Gateway) -> None:
    """Newest first, every attempt with its answer, gaps among them; pages do not overlap."""
    key = await gateway.make_key("acme")
    id = (await make(gateway, key))["id"]
    tried = attempt("retry", status=500, answer="oops", next_at=NOW + 1)
    gap = attempt("", log_offset=4, gap=True, reason="over its limit", since=NOW, until=NOW)
    gateway.ledger.attempts[id] = [tried, gap]
    first = await gateway.call("GET", f"/v1/webhooks/{id}/deliveries?limit=1", key=key)
    (shown,) = first.json["deliveries"]
    assert (shown["outcome"], shown["error"], shown["since"]) == ("gap", "over its limit", "2026-04-26T12:00:00.000Z")
    second = await gateway.call(
        "GET", f"/v1/webhooks/{id}/deliveries?limit=1&cursor={first.json['next_cursor']}", key=key
    )
    assert second.json == {
        "deliveries": [
            {
                "delivery_id": "d",
                "event_id": "evt_5",
                "type": "meter.created",
                "attempt": 1,
                "outcome": "retry",
                "attempted_at": "2026-04-26T12:00:00.000Z",
                "http_status": 500,
                "latency_ms": 9,
                "error": None,
                "answer": "oops",
                "next_attempt_at": "2026-04-26T12:00:00.001Z",
                "replay": False,
                "since": None,
                "until": None,
                "test": False,
            }
        ],
        "next_cursor": None,
    }


async def test_tests_and_replays_are_commands_in_the_log(gateway: Gateway) -> None:
    """Each is answered 202 when it is decided; of an unknown delivery, of none and of both: 4xx."""
    key = await gateway.make_key("acme")
    id = (await make(gateway, key))["id"]
    path = f"/v1/webhooks/{id}"
    assert (await gateway.call("POST", path + "/test", key=key)).status == 202
    assert (await gateway.call("POST", path + "/replay", {"since": "2026-04-26T11:00:00Z"}, key)).status == 202
    gateway.ledger.attempts[id] = [attempt("dead", status=400)]
    known = await gateway.call("POST", path + "/replay", {"delivery_id": "d"}, key)
    assert known.status in (202, 404)  # 404: partition 1 is neither the customer's nor the configuration's
    for body, status in (
        ({"delivery_id": "x"}, 404),
        ({}, 400),
        ({"delivery_id": "d", "since": "2026-04-26T11:00:00Z"}, 400),
        ({"since": "2026-04-26T13:00:00Z"}, 400),
        ({"since": "2025-04-26T13:00:00Z"}, 400),
        ({"since": "yesterday"}, 400),
    ):
        assert (await gateway.call("POST", path + "/replay", body, key)).status == status, body
    await gateway.call("PATCH", path, {"active": False}, key)
    for what in ("/test", "/replay"):
        answer = await gateway.call("POST", path + what, {} if what == "/test" else {"delivery_id": "d"}, key)
        assert (answer.status, answer.json["code"]) == (409, "webhook_inactive")


async def test_webhooks_need_a_key_and_no_admin(gateway: Gateway) -> None:
    """The admin token is no API key."""
    for key in (None, ADMIN, "rg_unknown"):
        assert (await gateway.call("GET", "/v1/webhooks", key=key)).status == 401


async def test_an_administrator_sees_and_replays_for_every_customer(gateway: Gateway) -> None:
    """All endpoints or those of one customer, never with a secret; a replay is on the administrator's account."""
    one, two = [await make(gateway, await gateway.make_key(name)) for name in ("acme", "other")]
    path = "/api/admin/webhooks"
    shown = [{name: value for name, value in made.items() if name != "secret"} for made in (two, one)]
    listed = await gateway.call("GET", path, key=ADMIN)
    assert listed.json == {"webhooks": shown, "next_cursor": None}
    first = (await gateway.call("GET", f"{path}?limit=1", key=ADMIN)).json
    assert first["webhooks"] == shown[:1] and first["next_cursor"]
    assert (await gateway.call("GET", f"{path}?customer_id=acme", key=ADMIN)).json["webhooks"] == shown[1:]
    assert (await gateway.call("GET", f"{path}/{one['id']}", key=ADMIN)).json == shown[1]
    gateway.ledger.attempts[one["id"]] = [attempt("dead", partition=0)]
    replay = f"{path}/{one['id']}/replay"
    answer = await gateway.call("POST", replay, {"delivery_id": "d"}, ADMIN)
    assert (answer.status, answer.json) == (202, shown[1])
    for body, status in (
        ({}, 400),
        ({"delivery_id": "e"}, 404),
        ({"delivery_id": "d", "customer_id": "other"}, 400),
        ({"delivery_id": "d", "customer_id": "acme"}, 202),
    ):
        assert (await gateway.call("POST", replay, body, ADMIN)).status == status, body
    for method, wrong in (("GET", f"{path}/99"), ("GET", f"{path}/x"), ("POST", f"{path}/99/replay")):
        body = {"delivery_id": "d"} if method == "POST" else None
        assert (await gateway.call(method, wrong, body, ADMIN)).status == 404
    key = await gateway.make_key("acme")
    assert (await gateway.call("GET", path, key=key)).status == 401
    assert (await gateway.call("POST", replay, {"delivery_id": "d"}, key)).status == 401
