"""The notifier over a real log: what is delivered, what is written down, and what survives."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from notifier.endpoint_queue import TAIL_QUEUE, WINDOW
from notifier.sender import WebhookRequest, WebhookResponse
from notifier.testing import MemorySender, never
from schemas.commands import ReplayWebhook, UpdateWebhook, decode, encode
from schemas.deliveries import delivery_id
from schemas.secrets import SecretBox, new_secret
from tests.freezing import freeze, thaw
from tests.integration.notifier.site import Child, Receiver, Running, Site

pytestmark = pytest.mark.integration
Eventually = Callable[..., Awaitable[None]]
Start = Callable[..., Awaitable[Running]]


def everything_written(site: Site, customer: str, ids: list[str], outcome: str = "delivered") -> Callable[[], Any]:
    """Whether rev.deliveries tells that each of these events ended so."""

    async def written() -> bool:
        attempts, _ = await site.deliveries()
        return {a.event_id for a in attempts if a.outcome == outcome and a.customer_id == customer} >= set(ids)

    return written


async def test_events_of_the_owner_are_delivered(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """Each event of a customer is sent once to its endpoint, and nobody else's is; then nothing is left."""
    await site.hook(customer, here)
    notifier = await running()
    ids = await site.meter(customer, 3, each=2)
    await site.meter(f"{customer}-other")
    await eventually(everything_written(site, customer, ids), 60)
    assert notifier.received(here) == dict.fromkeys(ids, 1)
    await eventually(_none_left(site, customer), 60)


async def test_a_new_endpoint_misses_nothing(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """What is accepted right after the creation is sent, what came before is not."""
    notifier = await running()
    before = await site.meter(customer)
    await site.hook(customer, here)
    after = await site.meter(customer, 3)
    await eventually(everything_written(site, customer, after), 60)
    assert not notifier.received(here).keys() & set(before)


async def test_an_owner_that_ends_leaves_everything_to_the_next(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """Requests in flight, retries and what was not read yet go to the next owner; each is sent with its own id."""
    hook = await site.hook(customer, here)
    failing = MemorySender({here: _answer(WebhookResponse(503))})
    first = await running(failing)
    ids = await site.meter(customer, 5)
    await eventually(lambda: len(failing.sent) >= 5, 60)
    failing.behaviours[here] = never
    ids += await site.meter(customer, 5)
    await eventually(lambda: set(first.received(here)) == set(ids[:5]) or len(first.received(here)) > 5, 60)
    await first.cancel()
    ids += await site.meter(customer, 5)
    second = await running()
    await eventually(everything_written(site, customer, ids), 90)
    assert set(second.received(here)) >= set(ids[5:])
    for sent in [*failing.sent, *second.sender.sent]:
        if sent.url == here:
            assert sent.delivery_id == delivery_id(sent.event_id, hook.id)
    await eventually(_none_left(site, customer), 60)


async def test_kill_9_loses_nothing(
    site: Site, customer: str, eventually: Eventually, child: Callable[..., Child], receiver: Receiver
) -> None:
    """A process that is killed twice while it sends: every event is received, or tried until it is."""
    await site.hook(customer, receiver.url)
    receiver.fail_every = 5
    ids: list[str] = []
    for round in range(3):
        started = child()
        ids += await site.meter(customer, 50, each=2)
        seen = len(receiver.got)
        await eventually(lambda seen=seen: len(receiver.got) > seen + 20, 90)
        if round < 2:
            started.kill()
    await eventually(lambda: set(receiver.accepted()) == set(ids), 120)
    per_event: dict[str, set[str]] = {}
    for event, delivery, _ in receiver.got:
        per_event.setdefault(event, set()).add(delivery)
    assert all(len(found) == 1 for found in per_event.values()), "a repeat carries the same X-Rev-Delivery"


async def test_two_share_and_one_leaves(
    site: Site, running: Start, eventually: Eventually, customer: str, here: str
) -> None:
    """Partitions are shared out; when one instance goes, the other takes its partitions over and all is sent."""
    one, two = await running(ordinal=0), await running(ordinal=1, wait=False)
    await eventually(lambda: one.partitions() and two.partitions() and two.ready(), 60)
    assert one.partitions() | two.partitions() == {0, 1} and not one.partitions() & two.partitions()
    owners = {partition: site.customer_in(partition, customer) for partition in (0, 1)}
    for partition, name in owners.items():
        await site.hook(name, f"https://{partition}.example")
    ids = {name: await site.meter(name, 3) for name in owners.values()}
    for name, some in ids.items():
        await eventually(everything_written(site, name, some), 60)
    await two.stop()
    for name in owners.values():
        ids[name] = await site.meter(name, 3)
    for name, some in ids.items():
        await eventually(everything_written(site, name, some), 90)
    both = one.received() + two.received()
    assert all(both[id] >= 1 for some in ids.values() for id in some)


async def test_a_new_owner_fences_the_old_one(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """Somebody else takes the partition's transactional id: the worker gives up, rejoins, and goes on."""
    await site.hook(customer, here)
    notifier = await running()
    await site.fence(customer)
    ids = await site.meter(customer, 4)
    await eventually(everything_written(site, customer, ids), 90)
    await eventually(notifier.ready, 60)


async def test_a_deleted_endpoint_hears_nothing_more(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """What waits for a retry when the endpoint is deleted becomes a visible dropped attempt."""
    hook = await site.hook(customer, here)
    sender = MemorySender({here: _answer(WebhookResponse(500))})
    notifier = await running(sender)
    ids = await site.meter(customer, 3)
    await eventually(lambda: set(notifier.received(here)) == set(ids), 60)
    await site.unhook(hook.id)
    await eventually(everything_written(site, customer, ids, "dropped"), 60)
    sent = len(notifier.received(here))
    await site.meter(customer, 2)
    other = await site.hook(customer, "https://other.example")
    last = await site.meter(customer, 1)
    await eventually(everything_written(site, customer, last), 60)
    assert len(notifier.received(here)) == sent and other.id != hook.id
    # a queue is cleared by the flush after the one that tells of its last delivery
    await eventually(_none_left(site, customer), 60)


async def test_replays(site: Site, running: Start, customer: str, here: str, eventually: Eventually) -> None:
    """All since a time, or one delivery: sent again under the same ids, marked as replays."""
    hook = await site.hook(customer, here)
    notifier = await running()
    old = await site.meter(customer, 2)
    await eventually(everything_written(site, customer, old), 60)
    since, new = site.time(), await site.meter(customer, 2)
    await eventually(everything_written(site, customer, new), 60)
    partition = site.partition(customer)
    await site.configure("webhook.replay", encode(ReplayWebhook(hook.id, customer, since=since)), partition)
    await eventually(lambda: all(notifier.received(here)[id] == 2 for id in new), 60)
    attempts, _ = await site.deliveries()
    (first,) = [a for a in attempts if a.event_id == old[0]]
    one = ReplayWebhook(hook.id, customer, partition=first.partition, offset=first.offset, index=first.index)
    await site.configure("webhook.replay", encode(one), partition)
    await eventually(lambda: notifier.received(here)[old[0]] == 2, 60)
    assert notifier.received(here) == Counter(dict.fromkeys([old[0], *new], 2) | {old[1]: 1})
    assert len({d.delivery_id for d in notifier.sender.sent if d.event_id == old[0]}) == 1


async def test_a_test_event_reaches_one_endpoint(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """webhook.test is sent to the endpoint that was named, and to no other of the same customer."""
    await site.hook(customer, "https://other.example")
    hook = await site.hook(customer, here, events=["outcome.failed"])
    notifier = await running()
    await site.configure("webhook.test", b'{"id":%d,"customer_id":"%s"}' % (hook.id, customer.encode()))
    await eventually(lambda: [d.type for d in notifier.sender.sent] == ["webhook.test"], 60)
    assert [d.url for d in notifier.sender.sent] == [here]


async def test_a_black_hole_delays_nobody(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """An endpoint that never answers keeps a few requests open; all others are sent everything."""
    await site.hook(customer, "https://hole.example")
    await site.hook(customer, here)
    notifier = await running(MemorySender({"https://hole.example": never}))
    ids = await site.meter(customer, 300, each=2)
    await eventually(lambda: notifier.received(here) == dict.fromkeys(ids, 1), 90)
    assert 1 <= len(notifier.received("https://hole.example")) <= 16


async def test_gone_is_given_up_by_a_command(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """410: the notifier asks the configuration shard to disable the endpoint, and sends nothing more to it."""
    hook = await site.hook(customer, here)
    notifier = await running(MemorySender({here: _answer(WebhookResponse(410))}))
    await site.meter(customer)

    async def asked() -> bool:
        found = [decode(value) for value in await site.commands()]
        return any(isinstance(c, UpdateWebhook) and c.id == hook.id and c.active is False for c in found)

    await eventually(asked, 60)
    sent = len(notifier.received(here))
    await site.meter(customer, 3)
    await site.hook(customer, here, id=hook.id, active=False, disabled="the endpoint answered 410 Gone")

    async def records() -> bool:
        _, gaps = await site.deliveries()
        return any(gap.webhook_id == hook.id and "410" in gap.reason for gap in gaps)

    await eventually(records, 60)
    assert len(notifier.received(here)) == sent


async def test_what_this_side_could_not_send_is_no_attempt(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """Out of descriptors: it is counted, tried again soon, and in the end each event has one attempt, the first."""
    await site.hook(customer, here)
    sender = MemorySender({here: _answer(WebhookResponse(None, "not sent", ours=True))})
    await running(sender)
    before = REGISTRY.get_sample_value("rev_notifier_not_sent_total") or 0
    ids = await site.meter(customer, 3)
    await eventually(lambda: any(times > 1 for times in Counter(d.event_id for d in sender.sent).values()), 60)
    del sender.behaviours[here]
    await eventually(everything_written(site, customer, ids), 60)
    attempts, _ = await site.deliveries()
    assert sorted((a.event_id, a.attempt, a.outcome) for a in attempts if a.customer_id == customer) == sorted(
        (id, 1, "delivered") for id in ids
    )
    assert (REGISTRY.get_sample_value("rev_notifier_not_sent_total") or 0) > before
    await eventually(_none_left(site, customer), 60)


async def test_a_bug_makes_the_worker_anew(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """What goes wrong while an answer is judged is counted, and the delivery is made again, not forgotten."""
    await site.hook(customer, here)
    broken: Any = "no answer at all"
    sender = MemorySender({here: _answer(broken)})
    await running(sender)
    failures = ("rev_worker_failures_total", {"of": "notifier", "error": "AttributeError"})
    before = REGISTRY.get_sample_value(*failures) or 0
    ids = await site.meter(customer, 2)
    await eventually(lambda: (REGISTRY.get_sample_value(*failures) or 0) > before, 60)
    del sender.behaviours[here]
    await eventually(everything_written(site, customer, ids), 60)


async def test_an_unreadable_secret_is_no_attempt(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent and nothing held against the endpoint; it shows in a metric and, with ids, in the log.
    It waits in the log for whoever can read the secret; others are delivered."""
    stranger = SecretBox(bytes(32)).encrypt(new_secret(os.urandom), os.urandom)
    hook = await site.hook(customer, here, secret=stranger)
    await site.hook(customer, "https://other.example")
    before = REGISTRY.get_sample_value("rev_notifier_unreadable_secrets_total") or 0
    notifier = await running()
    ids = await site.meter(customer, 3)

    def records() -> bool:
        return REGISTRY.get_sample_value("rev_notifier_unreadable_secrets_total") == before + 3

    await eventually(records, 60)
    await eventually(lambda: notifier.received("https://other.example") == dict.fromkeys(ids, 1), 60)
    shown = capsys.readouterr()
    assert all(id in shown.out + shown.err for id in ids)
    await notifier.stop()
    assert notifier.received(here) == {}
    attempts, _ = await site.deliveries()
    assert [a for a in attempts if a.webhook_id == hook.id] == []
    assert await site.left(customer) == [b"lane/%d" % hook.id]


def _answer(answer: WebhookResponse) -> Callable[[WebhookRequest], Awaitable[WebhookResponse]]:
    async def give(delivery: WebhookRequest) -> WebhookResponse:
        await asyncio.sleep(0)
        return answer

    return give


def _none_left(site: Site, customer: str) -> Callable[[], Any]:
    async def none() -> bool:
        return await site.left(customer) == []

    return none


async def test_a_long_backlog_costs_little_and_is_caught_up(
    site: Site, running: Start, customer: str, here: str, eventually: Eventually
) -> None:
    """10,000 events behind: a few references in memory, the lag is shown; then every one is delivered."""
    hook = await site.hook(customer, here)
    partition, open_ = str(site.partition(customer)), asyncio.Event()

    async def closed_at_first(delivery: WebhookRequest) -> WebhookResponse:
        await open_.wait()
        return WebhookResponse(200)

    notifier = await running(MemorySender({here: closed_at_first}))
    ids = await site.meter(customer, 200, each=50)
    labels = {"partition": partition, "endpoint": str(hook.id)}
    await eventually(lambda: (REGISTRY.get_sample_value("rev_notifier_endpoint_lag_records", labels) or 0) > 190, 60)
    assert len(notifier.received(here)) <= WINDOW
    assert (REGISTRY.get_sample_value("rev_notifier_waiting", {"partition": partition}) or 0) <= TAIL_QUEUE + WINDOW
    assert (REGISTRY.get_sample_value("rev_notifier_body_bytes") or 0) < 2 << 20
    open_.set()
    await eventually(lambda: len(notifier.sender.sent) >= len(ids), 240)
    await eventually(_none_left(site, customer), 60)
    assert notifier.received(here) == dict.fromkeys(ids, 1)


async def test_a_frozen_owner_that_wakes_up_does_no_harm(
    site: Site, customer: str, eventually: Eventually, child: Callable[..., Child], receiver: Receiver
) -> None:
    """SIGSTOP until another instance has its partitions, then SIGCONT: it is fenced, and nothing is lost."""
    names = [site.customer_in(partition, customer) for partition in (0, 1)]
    for name in names:
        await site.hook(name, receiver.url)
    receiver.fail_every = 6
    frozen = child(0)
    child(1)
    ids = [id for name in names for id in await site.meter(name, 10)]
    await eventually(lambda: set(receiver.accepted()) == set(ids), 90)
    freeze(frozen.process.pid)
    ids += [id for name in names for id in await site.meter(name, 20)]
    await eventually(lambda: set(receiver.accepted()) == set(ids), 90)
    thaw(frozen.process.pid)
    ids += [id for name in names for id in await site.meter(name, 20)]
    await eventually(lambda: set(receiver.accepted()) == set(ids), 90)
    for name in names:
        await eventually(_none_left(site, name), 60)
    attempts, _ = await site.deliveries()
    delivered = {a.event_id for a in attempts if a.outcome == "delivered" and a.customer_id in names}
    assert delivered == set(ids), "every delivery is told of"
