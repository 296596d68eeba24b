"""Whose outcome it is, and when a verdict counts: when it was appended, whoever is slow."""

from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from tests.integration.outcomes.api import Stack, ahead, is_past

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]
names = count()


def task() -> str:
    return f"time-{next(names)}"


async def test_someone_elses_task_is_unknown(here: Stack) -> None:
    """By task and by id, to resolve and to read: 404, and it is as it was; the task's name is free for others."""
    owner, other = await here.customer("owner"), await here.customer("other")
    name = task()
    opened = await owner.register(name, ahead(600))
    id = opened.body["outcome_id"]
    for target in (name, id):
        assert (await other.resolve(target, True)).status == 404
        assert (await other.get(f"/v1/outcomes/{target}")).status == 404
    assert await owner.status(name) == "pending"
    assert (await other.register(name, ahead(600))).status == 201
    assert (await other.resolve(name, False)).body["status"] == "failed"
    assert await owner.status(id) == "pending"


async def test_a_verdict_that_was_appended_in_time_counts_however_late_it_is_priced(
    here: Stack, eventually: Eventually
) -> None:
    """The pricer stands still while the verdict is appended and until the time is long over."""
    customer = await here.customer("late")
    name, until = task(), ahead(4)
    assert (await customer.register(name, until)).status == 201
    with here.frozen("pricer"):
        sent = await customer.post(f"/v1/outcomes/{name}/resolve", {"success": True}, Prefer="respond-async")
        assert sent.status == 202, "it was not appended in time: this machine is too slow"
        await eventually(lambda: is_past(until))

    async def answered() -> bool:
        return (await customer.get(f"/v1/outcomes/{name}")).status == 200

    await eventually(answered, timeout=60)
    assert await customer.status(name) == "succeeded"
    again = await customer.resolve(name, True)
    assert (again.status, again.body["charge_cents"]) == (200, 4900.5)
    assert again.body["resolved_at"] < again.body["expires_at"]
    refused = await customer.resolve(name, False)
    assert (refused.status, refused.body["status"]) == (409, "succeeded")


async def test_a_verdict_that_was_appended_late_is_refused_without_any_timer(
    here: Stack, eventually: Eventually
) -> None:
    """The expirer stands still: the verdict itself closes the outcome, as expired, at that price."""
    customer = await here.customer("late")
    with here.frozen("expirer"):
        name, until = task(), ahead(1)
        opened = await customer.register(name, until, price_on_failure="0.25")
        assert opened.status == 201
        await eventually(lambda: is_past(until))
        refused = await customer.resolve(name, True, idempotency_key=f"key-{name}")
    assert (refused.status, refused.body["code"], refused.body["status"]) == (409, "outcome_expired", "expired")
    shown = (await customer.get(f"/v1/outcomes/{name}")).body
    assert (shown["status"], shown["success"], str(shown["charge_cents"])) == ("expired", False, "0.25")
    assert shown["resolved_at"] >= shown["expires_at"] and shown["evidence"] is None
    # the refused verdict's key is free
    key = {"idempotency_key": f"key-{name}"}
    assert (await customer.register(task(), ahead(600), **key)).status == 201

    async def closed() -> bool:
        return bool(await here.closings(opened.body["outcome_id"]))

    await eventually(closed)
    assert await here.closings(opened.body["outcome_id"]) == ["charge\texpired\t0.25"]


async def test_a_look_after_its_time_closes_it_without_any_timer(here: Stack, eventually: Eventually) -> None:
    """The expirer stands still: a GET shows it expired, at the price of on_expiry, once and for all."""
    customer = await here.customer("late")
    with here.frozen("expirer"):
        name, until = task(), ahead(1)
        assert (await customer.register(name, until, on_expiry="success")).status == 201
        await eventually(lambda: is_past(until))
        first = await customer.get(f"/v1/outcomes/{name}")
    assert (first.body["status"], first.body["charge_cents"]) == ("expired", 4900.5)
    assert (await customer.get(f"/v1/outcomes/{name}")).body == first.body
    assert (await customer.resolve(name, True)).status == 409
