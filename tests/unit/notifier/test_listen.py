"""`rev webhooks listen`: an endpoint for as long as it runs, and nothing shown that does not verify."""

import argparse
import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from rich.console import Console

from schemas import signing
from tools.listen import command
from tools.listen.receiver import ReceivedWebhook, application

SECRET = "whsec_" + "QUJD" * 12
BODY = (
    b'{"id":"evt_1","type":"meter.created",'
    b'"data":{"event":{"agent_id":"copilot","action":"chat"},"price":{"total_cents":1.47}}}'
)
NOW = 1_790_000_000
Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


class Gateway:
    """POST and DELETE of /v1/webhooks, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.status = 201
        self.url = ""

    async def make(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(("POST", request.headers["Authorization"], body))
        if self.status != 201:
            return web.json_response({"error": "url must use https", "code": "invalid_request"}, status=self.status)
        return web.json_response({"id": 7, "customer_id": "acme", "secret": SECRET, **body}, status=201)

    async def delete(self, request: web.Request) -> web.Response:
        self.asked.append(("DELETE", request.headers["Authorization"], request.match_info["id"]))
        return web.json_response({"success": True})


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    app = web.Application()
    app.router.add_post("/v1/webhooks", made.make)
    app.router.add_delete("/v1/webhooks/{id}", made.delete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def arguments(url: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(["listen", "--url", url, "--key", "rg_1", "--events", "meter.created,outcome.failed"])


async def post(url: str, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=io.BytesIO(BODY), headers=headers) as answer:
        return answer.status


async def test_it_listens_while_it_runs(gateway: Gateway, eventually: Eventually) -> None:
    """The endpoint is made, a delivery is printed in a line, and the endpoint is deleted."""
    output = io.StringIO()
    task = asyncio.create_task(command.listen(arguments(gateway.url), Console(file=output, width=200)))
    await eventually(lambda: "listening at" in output.getvalue())
    ((_, key, asked),) = gateway.asked
    assert (key, asked["events"]) == ("Bearer rg_1", ["meter.created", "outcome.failed"])
    forged = {signing.ID: "evt_1", signing.TIMESTAMP: str(NOW), signing.STANDARD_SIGNATURE: "v1,QUJD"}
    assert await post(asked["url"], forged) == 400
    assert "not verified" in output.getvalue()
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert gateway.asked[-1] == ("DELETE", "Bearer rg_1", "7")


async def test_a_gateway_that_refuses_is_told(gateway: Gateway) -> None:
    """With the setting that is missing."""
    gateway.status = 400
    with pytest.raises(command.ListenRefused, match="REV_WEBHOOK_ALLOW_PRIVATE"):
        await command.listen(arguments(gateway.url), Console(file=io.StringIO()))


@pytest.mark.parametrize(("age", "status"), [(0, 204), (10_000, 400)])
async def test_only_what_verifies_is_trusted(age: int, status: int) -> None:
    """A good signature of now; the same one hours later is not taken."""
    shown: list[ReceivedWebhook] = []
    runner = web.AppRunner(application(lambda: [SECRET], shown.append, lambda: NOW + age))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    headers = signing.headers([SECRET], "evt_1", "meter.created", "d", NOW, BODY)
    try:
        assert await post(f"http://127.0.0.1:{runner.addresses[0][1]}/any/path", headers) == status
    finally:
        await runner.cleanup()
    (one,) = shown
    assert (one.type, one.event_id, one.body, one.problem is None) == ("meter.created", "evt_1", BODY, age == 0)


async def test_before_the_secret_is_known_it_asks_to_be_tried_again() -> None:
    """A delivery may overtake the answer that tells the secret: 503 is tried again, 400 would be the end."""
    shown: list[ReceivedWebhook] = []
    secrets: list[str] = []
    runner = web.AppRunner(application(lambda: secrets, shown.append, lambda: NOW))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    headers = signing.headers([SECRET], "evt_1", "meter.created", "d", NOW, BODY)
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        assert (await post(url, headers), shown) == (503, [])
        secrets.append(SECRET)
        assert await post(url, headers) == 204
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("width", [20, 200])
def test_a_delivery_is_one_line(width: int) -> None:
    """In however narrow a terminal, or a pipe."""
    output = io.StringIO()
    command.print_event(
        Console(file=output, width=width), ReceivedWebhook("meter.created", "evt_1", "d", BODY), full=False
    )
    (line,) = output.getvalue().splitlines()
    assert line.endswith("meter.created  evt_1  copilot  chat  1.47 cents")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (BODY, "copilot  chat  1.47 cents"),
        (
            b'{"data":{"task_id":"t","agent_id":"a","action":"outcome_charge","charge_cents":4900}}',
            "t  a  outcome_charge  4900 cents",
        ),
        (b'{"data":[1]}', ""),
        (b"not json", ""),
    ],
)
def test_the_gist_of_a_body(body: bytes, words: str) -> None:
    """Who, what and for how much, of whatever the event has."""
    assert command.gist(body) == words
