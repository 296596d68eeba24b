"""Customers that only a platform's key names: listed, warned of, or refused."""

from typing import Any

import pytest

from ingest.lookalikes import skeleton
from schemas.commands import EnsureCustomer, decode
from schemas.settings import Settings, read
from streams.errors import NotRecorded

ADMIN = "the-admin-token"
EVENT = {"agent_id": "a", "action": "completion"}
TASK = {"task_id": "t", "agent_id": "a", "price_on_success": 1, "expires_at": "2031-01-01T00:00:00Z"}


async def listed(gateway: Any) -> dict[str, bool]:
    """Customers and whether they were only metered."""
    answer = await gateway.call("GET", "/api/admin/customers?limit=1000", None, ADMIN)
    return {one["customer_id"]: one["metered"] for one in answer.json["customers"]}


async def metered(gateway: Any, key: str, customer: str) -> Any:
    answer = await gateway.call("POST", "/v1/meter", {**EVENT, "customer_id": customer}, key)
    assert answer.status == 201, answer.text
    return answer.json


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/meter", EVENT), ("/v1/meter/batch", {"events": [EVENT]}), ("/v1/outcomes", TASK)],
)
async def test_who_was_metered_is_listed(gateway: Any, path: str, body: Any) -> None:
    """After the first request of any kind, once, with the key as actor in the audit trail."""
    key = await gateway.make_key("*")
    for _ in range(3):
        answer = await gateway.call("POST", path, {**body, "customer_id": "acme-crop"}, key)
        assert answer.status in (201, 409), answer.text
    assert await listed(gateway) == {"acme-crop": True}
    sent = [decode(value) for value in gateway.log.values()]
    assert [command for command in sent if isinstance(command, EnsureCustomer)] == [
        EnsureCustomer("acme-crop", "key 1")
    ]
    gateway.settle()
    audit = (await gateway.call("GET", "/api/admin/audit", None, ADMIN)).json["entries"]
    assert [(one["type"], one["actor"]) for one in audit if one["type"].startswith("customer")] == [
        ("customer.created", "key 1")
    ]


async def test_a_customer_that_cannot_be_listed_is_metered_all_the_same(gateway: Any) -> None:
    """And listed with the next event."""
    key = await gateway.make_key("*")
    append, failing = gateway.log.append, [True]

    async def without_configuration(key: bytes, value: bytes, *rest: Any) -> Any:
        if key == b"_config" and failing:
            raise NotRecorded("away")
        return await append(key, value, *rest)

    gateway.log.append = without_configuration
    await metered(gateway, key, "new")
    assert "new" not in await listed(gateway)
    failing.clear()
    await metered(gateway, key, "new")
    assert (await listed(gateway))["new"] is True


LOOKALIKES = [
    ("acme", "Acme"), ("acme", "ACME"), ("acme", "аcme"), ("acme", "acmе"), ("ALPHA", "АLPHA"), ("beta", "βeta"),
    ("acme-corp", "acme_corp"), ("acme-corp", "acme corp"), ("acme-corp", "acme–corp"), ("customer1", "customerl"),
    ("customer0", "customero"), ("Iris", "lris"), ("modern", "modem"), ("café", "cafe"), ("ﬁrst", "first"),
    ("straße", "strasse"), ("Ångström", "angstrom"), ("acme", "ａｃｍｅ"),
]  # fmt: skip
DIFFERENT = [
    ("acme", "acne"), ("user-1-1", "user-11"), ("a", "b"), ("acme", "acme2"), ("user-12", "user-21"), ("日本", "日木"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), LOOKALIKES)
async def test_a_look_alike_is_warned_of(gateway: Any, first: str, second: str) -> None:
    """In every answer for the newer one, of every kind; never for the older one, nor for what has a key."""
    await gateway.make_key(first)
    gateway.now += 1
    key = await gateway.make_key("*")
    assert "warnings" not in await metered(gateway, key, first)
    for _ in range(2):
        (warning,) = (await metered(gateway, key, second))["warnings"]
        assert repr(first) in warning and repr(second) in warning
    for path, body in (("/v1/meter/batch", {"events": [EVENT]}), ("/v1/outcomes", TASK)):
        answer = await gateway.call("POST", path, {**body, "customer_id": second}, key)
        assert answer.status == 201 and len(answer.json["warnings"]) == 1
    gateway.log.pause()
    accepted = await gateway.call("POST", "/v1/meter", {**EVENT, "customer_id": second}, key, Prefer="respond-async")
    assert accepted.status == 202 and len(accepted.json["warnings"]) == 1
    gateway.log.resume()
    own = await gateway.make_key(second)
    assert "warnings" not in await metered(gateway, key, second)
    assert "warnings" not in (await gateway.call("POST", "/v1/meter", EVENT, own)).json


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_what_does_not_look_alike(first: str, second: str) -> None:
    """Numbers and plain words stay apart."""
    assert skeleton(first) != skeleton(second)


class TestRefuse:
    """REV_UNKNOWN_CUSTOMERS=refuse."""

    @pytest.fixture
    def settings(self) -> Settings:
        return read({"REV_ADMIN_TOKEN": ADMIN, "REV_REPLY_TIMEOUT": "200ms", "REV_UNKNOWN_CUSTOMERS": "refuse"})

    async def test_an_unknown_customer_is_refused_and_named(self, gateway: Any) -> None:
        """With the nearest one that there is; nothing is recorded, and a customer with a key goes through."""
        await gateway.make_key("acme-corp")
        key = await gateway.make_key("*")
        before = sum(map(len, gateway.log.raw))
        for path, body in (("/v1/meter", EVENT), ("/v1/meter/batch", {"events": [EVENT]}), ("/v1/outcomes", TASK)):
            for name in ("acme-crop", "Acme-Corp"):
                answer = await gateway.call("POST", path, {**body, "customer_id": name}, key)
                assert answer.status == 400
                assert answer.json["error"] == (
                    f"customer_id {name!r} does not exist; did you mean 'acme-corp'?"
                    " Create an API key for a new customer first"
                )
        assert sum(map(len, gateway.log.raw)) == before
        assert "warnings" not in await metered(gateway, key, "acme-corp")

    async def test_a_customer_that_another_gateway_made_a_moment_ago_is_known(self, gateway: Any) -> None:
        """The view is asked to catch up before anybody is called unknown."""
        key = await gateway.make_key("*")
        gateway.log.elsewhere = True
        await gateway.call("POST", "/api/admin/api-keys", {"customer_id": "fresh"}, ADMIN)
        await metered(gateway, key, "fresh")
