"""Imports over HTTP: the label of a batch, the list of imports, their sums, and events by import."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.commands import Meter, Void, decode

ADMIN = "the-admin-token"
EVENT = {"agent_id": "copilot", "action": "completion", "tokens": 2400, "outcome": "success"}
EMAIL = {"agent_id": "outreach", "action": "email.sent", "outcome": "pending"}


async def send(gateway: Any, key: str, label: Any, *events: Any, **more: Any) -> Any:
    body = {"events": list(events), "import_id": label, **more}
    answer = await gateway.call("POST", "/v1/meter/batch", body, key)
    gateway.settle()
    return answer


async def get(gateway: Any, path: str, key: str) -> Any:
    answer = await gateway.call("GET", path, None, key)
    assert answer.status == 200, answer.text
    return answer.json


async def test_a_batch_is_labelled(gateway: Any, key: str) -> None:
    """Its events say of which import they are, and the list can be filtered by it."""
    assert (await send(gateway, key, "april.csv_1-a", EVENT, EVENT)).status == 201
    command = decode(gateway.log.values()[-1])
    assert isinstance(command, Meter) and command.import_id == "april.csv_1-a"
    assert (await send(gateway, key, None, EVENT)).status == 201
    shown = (await get(gateway, "/v1/events", key))["events"]
    assert [event["import_id"] for event in shown] == [None, "april.csv_1-a", "april.csv_1-a"]
    assert (await get(gateway, "/v1/events?import_id=april.csv_1-a", key))["events"] == shown[1:]
    assert (await get(gateway, "/v1/events?import_id=may", key))["events"] == []
    assert (await get(gateway, f"/v1/events/{shown[1]['event_id']}", key)) == shown[1]


@pytest.mark.parametrize("label", ["", "a b", "a/b", "é", "x" * 65, ".", "..", "a\n", "a:b", 5, True, ["a"]])
async def test_no_import_has_such_a_label(gateway: Any, key: str, label: Any) -> None:
    """A 400 that names import_id, whatever else the batch is, and nothing recorded."""
    before = len(gateway.log.values())
    for events in ([EVENT], [{**EVENT, "metadata": {"a": "{" * 20_000}}]):
        answer = await send(gateway, key, label, *events)
        assert answer.status == 400, label
    answer = await send(gateway, key, label, EVENT)
    assert answer.json["code"] == "invalid_request" and answer.json["error"].startswith("import_id must be")
    assert len(gateway.log.values()) == before
    if isinstance(label, str) and label:
        listed = await gateway.session.get(
            f"{gateway.url}/v1/events", params={"import_id": label}, headers={"Authorization": f"Bearer {key}"}
        )
        assert listed.status == 400 and "import_id must be" in await listed.text()


async def test_a_repeat_under_another_label_is_a_repeat(gateway: Any, key: str) -> None:
    """The event stays with the import that charged it; the other one has nothing, so it is not listed."""
    event = {**EVENT, "idempotency_key": "row-1"}
    first, again = await send(gateway, key, "a", event), await send(gateway, key, "b", event)
    assert (again.status, again.json["results"][0]["event_id"]) == (201, first.json["results"][0]["event_id"])
    assert [found["import_id"] for found in (await get(gateway, "/v1/imports", key))["imports"]] == ["a"]
    assert (await gateway.call("GET", "/v1/imports/b", None, key)).status == 404


async def test_the_sums_of_an_import(gateway: Any, key: str) -> None:
    """Its events, what their outcomes charged, and what was taken back of both; exact."""
    gateway_began = "2026-04-26T12:00:00.000Z"
    await send(gateway, key, "a", EVENT, EVENT)
    gateway.now += 1000
    made = (await send(gateway, key, "a", EMAIL)).json["results"][0]
    resolve = f"/v1/outcomes/{made['outcome_id']}/resolve"
    assert (await gateway.call("POST", resolve, {"success": True}, key)).json["charge_cents"] == 500
    gateway.settle()
    found = await get(gateway, "/v1/imports/a", key)
    assert found == {
        "import_id": "a",
        "customer_id": "acme-corp",
        "test": False,
        "first_at": gateway_began,
        "last_at": "2026-04-26T12:00:01.000Z",
        "events": 3,
        "voided_events": 0,
        "charged_cents": Decimal("503.94"),
        "voided_cents": 0,
        "total_cents": Decimal("503.94"),
    }
    gateway.now += 1000
    void = await gateway.call(
        "POST", f"/api/admin/outcomes/{made['outcome_id']}/void", {"reason": "a wrong file"}, ADMIN
    )
    assert void.status == 201
    command = decode(gateway.log.values()[-1])
    assert isinstance(command, Void) and command.import_id == "a"
    first = (await get(gateway, "/v1/events?import_id=a", key))["events"][-1]["event_id"]
    await gateway.call("POST", f"/api/admin/events/{first}/void", {"reason": "a wrong file"}, ADMIN)
    gateway.settle()
    changed = {"voided_events": 1, "voided_cents": Decimal("-501.47"), "total_cents": Decimal("2.47")}
    assert await get(gateway, "/v1/imports/a", key) == {**found, **changed}
    summary = (await get(gateway, "/v1/usage", key))["summary"]
    assert summary["total_cents"] == Decimal("2.47")


async def test_imports_are_paged(gateway: Any, key: str) -> None:
    """The one that was added to last first, then by name; each once."""
    for number in range(7):
        gateway.now += number % 2
        await send(gateway, key, f"i{number}", EVENT)
    gateway.now += 1
    await send(gateway, key, "i2", EVENT)
    seen, path = [], "/v1/imports?limit=3"
    while path:
        page = await get(gateway, path, key)
        seen += [one["import_id"] for one in page["imports"]]
        path = page["next_cursor"] and f"/v1/imports?limit=3&cursor={page['next_cursor']}"
    assert seen == ["i2", "i6", "i5", "i4", "i3", "i1", "i0"]
    assert (await get(gateway, "/v1/imports", key))["next_cursor"] is None


async def test_imports_are_of_one_customer_and_mode(gateway: Any, key: str) -> None:
    """The same label in another mode or of another customer is another import."""
    test, other = await gateway.make_key("acme-corp", test=True), await gateway.make_key("other")
    platform = await gateway.make_key("*")
    await send(gateway, key, "a", EVENT)
    await send(gateway, test, "a", EVENT, EVENT)
    await send(gateway, test, "b", EVENT)
    for secret, wanted in ((key, [("a", 1)]), (test, [("b", 1), ("a", 2)]), (other, [])):
        found = (await get(gateway, "/v1/imports", secret))["imports"]
        assert [(one["import_id"], one["events"]) for one in found] == wanted
        assert {one["test"] for one in found} <= {secret == test}
    assert (await gateway.call("GET", "/v1/imports/b", None, key)).status == 404
    assert (await gateway.call("GET", "/v1/imports/a", None, platform)).status == 400
    mine = await get(gateway, "/v1/imports/a?customer_id=acme-corp", platform)
    assert mine["events"] == 1


async def test_a_platform_key_lists_the_imports_of_all_customers(gateway: Any, key: str) -> None:
    """Of its own mode, of one import if it likes, page by page, each customer's once."""
    platform, test = await gateway.make_key("*"), await gateway.make_key("*", test=True)
    customers = ["acme-corp", "café: 1", "z"]
    for customer in customers:
        for label in ("a", "b"):
            await send(gateway, platform, label, EVENT, customer_id=customer)
    await send(gateway, test, "a", EVENT, EVENT, customer_id="z")
    seen, path = [], "/v1/imports?limit=1"
    while path:
        page = await get(gateway, path, platform)
        seen += [(one["import_id"], one["customer_id"], one["events"], one["test"]) for one in page["imports"]]
        path = page["next_cursor"] and f"/v1/imports?limit=1&cursor={page['next_cursor']}"
    assert seen == [(label, customer, 1, False) for label in "ba" for customer in reversed(customers)]
    for secret, wanted in ((platform, [("z", 1), ("café: 1", 1), ("acme-corp", 1)]), (test, [("z", 2)])):
        found = (await get(gateway, "/v1/imports?import_id=a", secret))["imports"]
        assert [(one["customer_id"], one["events"]) for one in found] == wanted
    assert [one["import_id"] for one in (await get(gateway, "/v1/imports?import_id=b", key))["imports"]] == ["b"]
    named = (await get(gateway, "/v1/imports?customer_id=z", platform))["imports"]
    assert [(one["customer_id"], one["import_id"]) for one in named] == [("z", "b"), ("z", "a")]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/imports?limit=0", 400),
        ("/v1/imports?limit=1001", 400),
        ("/v1/imports?cursor=x", 400),
        ("/v1/imports?cursor=ZXZlbnRzOjc3", 400),
        ("/v1/imports?cursor=aW1wb3J0czo5OTk5OTk5OTk5OTk5OTp4", 400),
        ("/v1/imports?cursor=aW1wb3J0czrDqTp4", 400),
        ("/v1/imports?cursor=aW1wb3J0czoxOmEvenp6", 400),
        ("/v1/imports?cursor=aW1wb3J0czoxOmEvZmY", 400),
        ("/v1/imports?import_id=a%20b", 400),
        ("/v1/imports?from=2026-01-01T00:00:00Z", 400),
        ("/v1/imports/a?limit=1", 400),
        ("/v1/imports/a%20b", 404),
        ("/v1/imports/none", 404),
        ("/v1/imports/" + "x" * 65, 404),
        ("/v1/imports?customer_id=other", 403),
    ],
)
async def test_what_is_wrong_with_a_request(gateway: Any, key: str, path: str, status: int) -> None:
    """Named, by a 400; an import that none can be is not found."""
    assert (await gateway.call("GET", path, None, key)).status == status


@pytest.mark.parametrize("path", ["/v1/imports", "/v1/imports/a"])
async def test_credentials_come_first_and_the_ledger_may_be_away(gateway: Any, key: str, path: str) -> None:
    """401 for a stranger; 503 while there is no ClickHouse."""
    for secret in (None, "rg_unknown", ADMIN):
        assert (await gateway.call("GET", path + "?x=1", None, secret)).status == 401
    gateway.ledger.available = False
    answer = await gateway.call("GET", path, None, key)
    assert (answer.status, answer.json["code"]) == (503, "reads_unavailable")
