"""Outcomes over a real broker: its append time decides, whenever the pricer comes to it; one verdict of many."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from schemas.commands import Expire, ReadOutcome, Register, Resolve
from schemas.entries import Entry
from schemas.objects import iso
from schemas.replies import OutcomeReply, RefusedReply, Reply
from schemas.settings import Settings
from tests.integration.pricer.harness import LIMIT, Gateway, end, ledger, start

pytestmark = pytest.mark.integration
HOUR = 3_600_000


def register(customer: str, task: str, expires_at: int, **fields: Any) -> Register:
    """A task for 4900 cents."""
    return Register(customer, 1, task, "agent", expires_at, HOUR, **{"price_on_success": "4900"} | fields)


def resolve(customer: str, task: str, success: bool = True, **fields: Any) -> Resolve:
    """Its verdict."""
    return Resolve(customer, 1, task, success, HOUR, **fields)


def told(reply: Reply) -> Any:
    """The object of an answer."""
    assert isinstance(reply, OutcomeReply)
    return msgspec.json.decode(reply.result)


def ends(written: list[Entry]) -> list[tuple[str, str, str | None]]:
    """What closed the outcomes in a customer's ledger."""
    return [(entry.kind, entry.total, entry.verdict) for entry in written if entry.verdict is not None]


async def broker_time(gateway: Gateway, customer: str) -> int:
    """Append time of a question, ms."""
    at, _ = await gateway.append(customer.encode(), ReadOutcome(customer, "nobody's"))
    return at


async def test_a_verdict_counts_by_its_append_time(
    settings: Settings, gateway: Gateway, eventually: Callable[..., Awaitable[None]]
) -> None:
    """While no pricer runs, one verdict is appended in time and another one late, and both wait
    until long after; then the first one counts at its own time, the other one is refused although
    no timer has fired, and each outcome has one end.
    """
    customer, key = "stark", b"stark"
    now = await broker_time(gateway, customer)
    accepted, expires_at, kept = now, now, 0
    while accepted >= expires_at:  # again if this machine took longer than the outcome had
        kept += 1
        expires_at = await broker_time(gateway, customer) + 1000
        await gateway.append(key, register(customer, f"kept-{kept}", expires_at, price_on_failure="3"))
        command = resolve(customer, f"kept-{kept}", idempotency_key=f"key-{kept}")
        accepted, in_time = await gateway.append(key, command)
    _, opened = await gateway.append(key, register(customer, "missed", expires_at + 1, price_on_failure="7"))

    async def over() -> bool:
        return await broker_time(gateway, customer) > expires_at + 1

    await eventually(over, LIMIT)
    at, late = await gateway.append(key, resolve(customer, "missed", idempotency_key="late"))
    assert at > expires_at + 1
    pricer = start(settings)
    try:
        async with asyncio.timeout(LIMIT):
            first, second = await in_time, await late
            assert told(await opened)["status"] == "pending"
        assert (told(first)["status"], told(first)["charge_cents"]) == ("succeeded", 4900)
        assert told(first)["resolved_at"] == iso(accepted)
        assert isinstance(second, RefusedReply)
        assert second.code == "outcome_expired"
        assert msgspec.json.decode(second.outcome)["status"] == "expired"
        assert ends(await ledger(settings, customer))[-2:] == [
            ("charge", "4900", "succeeded"),
            ("charge", "7", "expired"),
        ]
    finally:
        assert end(pricer) == 0


async def test_one_verdict_of_a_hundred_at_once(
    settings: Settings, pricer: subprocess.Popen[bytes], gateway: Gateway
) -> None:
    """Half success, half failure, by either address, beside early reminders: all of one kind get
    the same answer, all of the other a refusal, and there is one end.
    """
    customer, key = "wayne", b"wayne"
    expires_at = await broker_time(gateway, customer) + HOUR
    outcome_id = told(await gateway.ask(key, register(customer, "task", expires_at)))["outcome_id"]
    reminders = [gateway.append(key, Expire(customer, outcome_id)) for _ in range(20)]
    verdicts = [
        gateway.ask(key, resolve(customer, outcome_id if n % 3 else "task", success=n % 2 == 0)) for n in range(100)
    ]
    replies, _ = await asyncio.gather(asyncio.gather(*verdicts), asyncio.gather(*reminders))
    shown = told(await gateway.ask(key, ReadOutcome(customer, "task")))
    assert shown["status"] in ("succeeded", "failed")
    for n, reply in enumerate(replies):
        if shown["success"] == (n % 2 == 0):
            assert told(reply) == shown
        else:
            assert isinstance(reply, RefusedReply)
            assert (reply.status, reply.code) == (409, "outcome_closed")
    assert len(ends(await ledger(settings, customer, at_least=2))) == 1


async def test_a_new_owner_answers_as_the_old_one_did(
    settings: Settings, pricer: subprocess.Popen[bytes], gateway: Gateway
) -> None:
    """kill -9, then another instance without any local state: an open outcome resolves, a closed
    one is shown whole, and keys of registrations and verdicts are known, from the log alone.
    """
    customer, key = "pym", b"pym"
    expires_at = await broker_time(gateway, customer) + HOUR
    criteria, evidence = msgspec.Raw(b'{"signed":true}'), msgspec.Raw(b'{"n":1.50}')
    first = register(customer, "first", expires_at, idempotency_key="r", success_criteria=criteria)
    verdict = resolve(customer, "first", idempotency_key="v", evidence=evidence)
    opened, closed = await gateway.ask(key, first), await gateway.ask(key, verdict)
    await gateway.ask(key, register(customer, "second", expires_at))
    pricer.kill()
    pricer.wait(LIMIT)
    successor = start(settings, ordinal=5)
    try:
        for command, before in ((first, opened), (verdict, closed)):
            again = await gateway.ask(key, command)
            assert isinstance(again, OutcomeReply)
            assert isinstance(before, OutcomeReply)
            assert (again.replayed, again.status) == (True, before.status)
            assert bytes(memoryview(again.result)) == bytes(memoryview(before.result))
        assert told(await gateway.ask(key, ReadOutcome(customer, "first"))) == told(closed)
        assert told(await gateway.ask(key, resolve(customer, "second", success=False)))["status"] == "failed"
        closed_both = [("charge", "4900", "succeeded"), ("waived", "0", "failed")]
        assert ends(await ledger(settings, customer, at_least=4)) == closed_both
    finally:
        assert end(successor) == 0
