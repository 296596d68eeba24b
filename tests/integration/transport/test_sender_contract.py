"""One contract for the Sender in memory, which other rooms test with, and for the real one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from notifier.sender import WebhookRequest, WebhookResponse, WebhookSender
from notifier.testing import MemorySender, never
from schemas.signing import headers
from tests.integration.transport.receivers import answering, behaving, delivery, receiving, sending

pytestmark = pytest.mark.integration

Eventually = Callable[..., Awaitable[None]]


class Site(NamedTuple):
    """A sender, and the URLs of a receiver that answers 200, one that answers 503, one that never answers."""

    sender: WebhookSender
    good: str
    failing: str
    hole: str
    taken: Callable[[], list[str]]
    """X-Rev-Delivery of what the good one was sent."""
    waiting: Callable[[], int]
    """How many requests the silent one holds."""


@asynccontextmanager
async def in_memory() -> AsyncIterator[Site]:
    async def fail(_: WebhookRequest) -> WebhookResponse:
        return WebhookResponse(503)

    urls = [f"https://{name}.example/" for name in ("good", "failing", "hole")]
    sender = MemorySender({urls[1]: fail, urls[2]: never})

    def sent(url: str) -> list[str]:
        return [one.delivery_id for one in sender.sent if one.url == url]

    yield Site(sender, *urls, lambda: sent(urls[0]), lambda: len(sent(urls[2])))
    await sender.close()


@asynccontextmanager
async def over_http() -> AsyncIterator[Site]:
    unavailable = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    async with (
        answering() as good,
        answering(unavailable) as failing,
        receiving(behaving()) as hole,
        sending() as sender,
    ):
        urls = [f"http://127.0.0.1:{one.port}/" for one in (good, failing, hole)]
        yield Site(
            sender,
            *urls,
            lambda: [request.headers["x-rev-delivery"] for request in good.requests],
            lambda: hole.connections,
        )


@pytest.fixture(params=[in_memory, over_http])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with request.param() as made:
        yield made


async def test_an_answer_has_a_status_or_a_reason(site: Site) -> None:
    """Whatever the status is, it is no error and not final."""
    for url, status in ((site.good, 200), (site.failing, 503)):
        answer = await site.sender.send(delivery(url))
        assert (answer.status, answer.error, answer.final, answer.retry_after_s) == (status, None, False, None)
        assert answer.latency_ms >= 0


async def test_a_retry_arrives_under_the_same_delivery(site: Site) -> None:
    """Sent twice, received twice: nothing is held back by who sends."""
    for _ in range(2):
        await site.sender.send(delivery(site.good))
    assert site.taken() == [delivery(site.good).delivery_id] * 2


async def test_one_that_hangs_holds_up_nobody(site: Site, eventually: Eventually) -> None:
    """And can be cancelled, whereupon the sender goes on."""
    stuck = [asyncio.create_task(site.sender.send(delivery(site.hole))) for _ in range(20)]
    await eventually(lambda: site.waiting() == 20)
    assert (await site.sender.send(delivery(site.good))).status == 200
    assert not any(task.done() for task in stuck)
    for task in stuck:
        task.cancel()
    assert all(isinstance(one, asyncio.CancelledError) for one in await asyncio.gather(*stuck, return_exceptions=True))
    assert (await site.sender.send(delivery(site.good))).status == 200


def test_a_delivery_does_not_show_its_secrets() -> None:
    """It may end up in a log; so may not what it is signed with."""
    one = delivery("https://a.example/")
    assert one.secrets[0] not in repr(one) and one.secrets[0][6:] not in repr(one)
    signed = headers(one.secrets, one.event_id, one.type, one.delivery_id, one.timestamp_s, one.body)
    assert one.secrets[0][6:] not in repr(signed)
