"""`rev pricer` over a real broker: commands in, entries and answers out, nothing lost or doubled."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from schemas import commands, config
from schemas.commands import CreateKey, Meter, MeterEvent, Rates, SetPrice
from schemas.replies import BatchChargedReply, ChargedReply, ConfiguredReply, RefusedReply
from schemas.settings import Settings
from schemas.topics import CONFIG_KEY, partition_of
from tests.integration.pricer.harness import LIMIT, PARTITIONS, Gateway, end, ledger, start

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]


def meter(customer: str, *events: MeterEvent) -> Meter:
    """A meter command of key 1."""
    return Meter(customer, 1, list(events), 10**9, 10**9, len(events) > 1)


async def priced(gateway: Gateway, eventually: Eventually) -> None:
    """Until genesis has reached the shards: the first price is committed and installed."""
    reply = await gateway.ask(CONFIG_KEY, CreateKey("warm-up", "00" * 32, "rg_..."))
    assert isinstance(reply, ConfiguredReply)
    for customer in {partition_of(name, PARTITIONS): name for name in (b"a", b"b", b"c", b"d", b"e")}.values():

        async def charged(name: bytes = customer) -> bool:
            return isinstance(await gateway.ask(name, meter(name.decode(), MeterEvent("warm", "chat"))), ChargedReply)

        await eventually(charged)


async def test_a_command_is_priced_and_answered(
    settings: Settings, pricer: subprocess.Popen[bytes], gateway: Gateway, eventually: Eventually
) -> None:
    """The reference's event costs 1.47; a batch, a retry and a conflict are answered alike, and
    the ledger holds exactly what was charged and refused.
    """
    await priced(gateway, eventually)
    one = MeterEvent("agent-copilot", "completion", tokens=2400, outcome="success", idempotency_key="k")
    first = await gateway.ask(b"acme", meter("acme", one))
    assert isinstance(first, ChargedReply)
    assert first.receipt.total == "1.47"
    again = await gateway.ask(b"acme", meter("acme", one))
    assert isinstance(again, ChargedReply)
    assert (again.replayed, again.receipt) == (True, first.receipt)
    conflict = await gateway.ask(b"acme", meter("acme", msgspec.structs.replace(one, tokens=1)))
    assert isinstance(conflict, RefusedReply)
    assert conflict.status == 409
    batch = await gateway.ask(b"acme", meter("acme", MeterEvent("a", "chat"), MeterEvent("a", "search"), one))
    assert isinstance(batch, BatchChargedReply)
    assert (batch.totals, batch.replayed) == (["0.1", "0.25", "1.47"], {2: first.receipt.event_id})
    kinds = [(entry.kind, entry.total) for entry in await ledger(settings, "acme", at_least=4)]
    assert kinds == [("event", "1.47"), ("rejected", "0"), ("event", "0.1"), ("event", "0.25")]


async def test_a_price_holds_for_every_event_after_its_answer(
    pricer: subprocess.Popen[bytes], gateway: Gateway, eventually: Eventually
) -> None:
    """An override applies to its customer from the very next append, a default to everyone, and
    the view holds both when the answer says so.
    """
    await priced(gateway, eventually)
    for cents in ("7", "8", "9"):
        reply = await gateway.ask(CONFIG_KEY, SetPrice("special", Rates(cents, "0", "0"), "globex"))
        assert isinstance(reply, ConfiguredReply)
        charged = await gateway.ask(b"globex", meter("globex", MeterEvent("a", "special")))
        assert isinstance(charged, ChargedReply)
        assert charged.receipt.total == cents
    reply = await gateway.ask(CONFIG_KEY, SetPrice("special", Rates("1", "0", "0")))
    assert isinstance(reply, ConfiguredReply)
    async with asyncio.timeout(LIMIT):
        await gateway.follower.reached(reply.view_offset)
    id = msgspec.json.decode(reply.result)["id"]
    assert msgspec.json.decode(gateway.view[config.price_key(id)])["rates"]["base"] == "1"
    for customer in ("initech", "hooli", "umbrella", "acme"):
        charged = await gateway.ask(customer.encode(), meter(customer, MeterEvent("a", "special")))
        assert isinstance(charged, ChargedReply)
        assert charged.receipt.total == "1"


async def test_a_killed_pricer_goes_on_where_it_was(
    settings: Settings, pricer: subprocess.Popen[bytes], gateway: Gateway, eventually: Eventually
) -> None:
    """kill -9 in the middle of commands that nobody awaits; the next life, without the local
    state too, answers what was charged before with the same receipts and charges nothing twice.
    """
    await priced(gateway, eventually)
    sent = [MeterEvent("a", "chat", tokens=i, idempotency_key=f"k{i}") for i in range(200)]
    for one in sent[:100]:
        await gateway.appender.append(b"stark", commands.encode(meter("stark", one)))
    pricer.kill()
    pricer.wait(LIMIT)
    for one in sent[100:]:
        await gateway.appender.append(b"stark", commands.encode(meter("stark", one)))
    successor = start(settings, ordinal=1)  # another instance: it has no local state of these shards
    try:
        answers = [await gateway.ask(b"stark", meter("stark", one)) for one in sent]
        assert all(isinstance(answer, ChargedReply) and answer.replayed for answer in answers)
        written = await ledger(settings, "stark", at_least=len(sent))
        assert [entry.event for entry in written] == sent
        receipts = [answer.receipt.total for answer in answers if isinstance(answer, ChargedReply)]
        assert receipts == [entry.total for entry in written]
    finally:
        assert end(successor) == 0


async def started(settings: Settings, eventually: Eventually, event: str, times: int = 1, ordinal: int = 0) -> None:
    """Until a pricer's log tells of an event so many times."""
    written: Path = settings.data / f"pricer-{ordinal}.log"
    await eventually(lambda: written.exists() and written.read_text().count(f'"{event}"') >= times, LIMIT)


def told(settings: Settings, event: str, ordinal: int = 0) -> int:
    """How often a pricer's log has told of an event."""
    written: Path = settings.data / f"pricer-{ordinal}.log"
    return written.read_text().count(f'"{event}"') if written.exists() else 0


async def test_a_pricer_stops_cleanly_at_any_time(settings: Settings, eventually: Eventually) -> None:
    """SIGTERM ends it with 0, while it starts and while it works."""
    for event in ("pricer_starts", "shard_running"):
        before = told(settings, event, ordinal=3)
        process = start(settings, ordinal=3)
        await started(settings, eventually, event, before + 1, ordinal=3)
        assert end(process) == 0


async def test_a_second_pricer_of_the_same_ordinal_does_not_start(settings: Settings, eventually: Eventually) -> None:
    """Two processes of one name would fight over every shard."""
    first = start(settings, ordinal=4)
    await started(settings, eventually, "shard_running", ordinal=4)
    assert start(settings, ordinal=4).wait(LIMIT) == 1
    assert end(first) == 0


async def test_a_wrong_number_of_partitions_stands_still(settings: Settings, eventually: Eventually) -> None:
    """A pricer that would send prices to the wrong shards prices nothing, and says why."""
    process = start(settings, partitions=PARTITIONS + 1, ordinal=2)
    await started(settings, eventually, "pricer_stands_still", ordinal=2)
    assert told(settings, f"rev.raw has {PARTITIONS} partitions, REV_PARTITIONS says {PARTITIONS + 1}", ordinal=2) == 1
    assert end(process) == 78
