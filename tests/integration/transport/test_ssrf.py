"""The table of addresses at delivery: whatever a URL or a name leads to, no connection is made to
what is refused. DNS is a stand-in that answers as it likes."""

import asyncio
import socket
import ssl
from ipaddress import ip_address

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from notifier.sender import WebhookResponse
from notifier.transport.connector import MOST_AGE_S, GuardedConnector
from notifier.transport.resolver import KEPT_S, AddressRefused, GuardedResolver
from schemas.webhook_urls import is_refused
from tests.integration.transport.receivers import answering, delivery, sending
from tests.unit.transport.addresses import DISGUISED, REFUSED

pytestmark = pytest.mark.integration

REFUSAL = "refused: private address"


class Dns:
    """Answers each question with the next of its answers; the last one is given for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, name: str) -> list[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
async def test_a_literal_that_is_refused_is_final(address: str) -> None:
    """An endpoint that was registered before the rules, or in development, is told so at once."""
    host = f"[{address}]" if ":" in address else address
    async with sending(allow_private=False) as sender:
        answer = await sender.send(delivery(f"https://{host}/hook"))
    assert answer == WebhookResponse(None, "url must have a public address", final=True, latency_ms=answer.latency_ms)


@pytest.mark.parametrize("host", DISGUISED.values(), ids=DISGUISED)
async def test_a_disguised_host_is_refused_at_delivery_too(host: str) -> None:
    """Without asking DNS for it."""
    dns = Dns(["127.0.0.1"])
    async with sending(allow_private=False, lookup=dns) as sender:
        answer = await sender.send(delivery(f"https://{host}/hook"))
    assert answer.final and (answer.error or "").startswith("url must ") and not dns.asked


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
async def test_a_name_that_leads_to_a_refused_address(address: str) -> None:
    """Not final: names change. The answer does not tell where the name leads."""
    async with sending(allow_private=False, lookup=Dns([address])) as sender:
        answer = await sender.send(delivery("https://hooks.example/"))
    assert answer == WebhookResponse(None, REFUSAL, latency_ms=answer.latency_ms)


@pytest.mark.parametrize("order", [1, -1])
async def test_a_mixed_name_is_refused_as_a_whole(order: int) -> None:
    """One address that may be sent to and one that may not: neither is connected to."""
    async with answering() as receiver:
        dns = Dns(["127.0.0.1", "169.254.169.254"][::order])
        async with sending(lookup=dns) as sender:
            answer = await sender.send(delivery(f"http://hooks.example:{receiver.port}/"))
        assert answer.error == REFUSAL and not receiver.connections


async def test_a_name_that_is_rebound_is_caught_at_the_next_connection() -> None:
    """Checked once, then changed: the address that is connected to is the one that was checked,
    and a new connection is checked anew."""
    now = 0.0
    dns = Dns(["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1"])
    async with answering() as receiver, sending(lookup=dns, clock=lambda: now) as sender:
        url = f"http://hooks.example:{receiver.port}/"
        assert (await sender.send(delivery(url))).status == 200
        assert dns.asked == 1, "the client asks once for each connection, so there is no second answer to slip in"
        now = MOST_AGE_S
        assert (await sender.send(delivery(url))).status == 200, "on the old connection, which then is closed"
        assert (await sender.send(delivery(url))).error == REFUSAL
        now += KEPT_S
        assert (await sender.send(delivery(url))).status == 200
        assert receiver.connections == 2 and dns.asked == 3


async def test_a_name_that_does_not_resolve_yet_is_tried_again() -> None:
    """Not final, and delivered once it does."""
    now = 0.0
    dns = Dns([], ["127.0.0.1"])
    async with answering() as receiver, sending(lookup=dns, clock=lambda: now) as sender:
        url = f"http://hooks.example:{receiver.port}/"
        answer = await sender.send(delivery(url))
        assert (answer.status, answer.error, answer.final) == (None, "the name does not resolve", False)
        now = KEPT_S
        assert (await sender.send(delivery(url))).status == 200


class Unguarded(AbstractResolver):
    """Gives any addresses, as if the check of names did not exist."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


def connector(*addresses: str, allow_private: bool) -> GuardedConnector:
    resolver: GuardedResolver = Unguarded(*addresses)  # type: ignore[assignment]
    return GuardedConnector(resolver, allow_private, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_the_socket_refuses_a_literal_that_nobody_resolved() -> None:
    """aiohttp asks no resolver about an address in the URL: the socket decides."""
    async with answering() as receiver:
        async with aiohttp.ClientSession(connector=connector(allow_private=False)) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as refusal:
                await session.post(f"http://127.0.0.1:{receiver.port}/")
        assert isinstance(refusal.value.os_error, AddressRefused) and not receiver.connections


@pytest.mark.parametrize(
    "addresses",
    [
        ("169.254.169.254", "127.0.0.1"),
        ("fe80::1", "64:ff9b::7f00:1", "0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "::", "192.0.0.192"),
    ],
)
async def test_happy_eyeballs_never_tries_a_refused_address(addresses: tuple[str, ...]) -> None:
    """However many addresses race, a refused one has no socket to race with."""
    tried: list[str] = []
    async with answering() as receiver:
        guarded = connector(*addresses, allow_private=True)
        make = guarded._socket_factory
        assert make is not None

        def watched(info: aiohttp.AddrInfoType) -> socket.socket:
            made = make(info)
            tried.append(info[4][0])
            return made

        guarded._socket_factory = watched
        url = f"http://hooks.example:{receiver.port}/"
        async with aiohttp.ClientSession(connector=guarded) as session, session.post(url, data=b"x") as answer:
            assert answer.status == 200
    assert tried == ["127.0.0.1"]


@pytest.mark.parametrize("address", [one for one in REFUSED.values() if is_refused(ip_address(one), True)])
async def test_every_refused_address_has_no_socket(address: str) -> None:
    """Through the client itself, alone and several at once, with private addresses allowed."""
    for addresses in ([address], [address, "224.0.0.1", "::"]):
        guarded = connector(*addresses, allow_private=True)
        async with aiohttp.ClientSession(connector=guarded) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                async with asyncio.timeout(10):
                    await session.post("http://hooks.example:9/")
        assert guarded.open == 0
