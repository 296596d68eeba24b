"""notifier.transport: names are looked up once for all, checked as a whole, and a slow name
server holds up nobody else; and no socket is made for an address that is refused."""

import asyncio
import errno
import socket
import threading
from typing import Any

import pytest

from notifier.transport.connector import _guarded_socket
from notifier.transport.dns_lookup import THREADS, SystemLookup
from notifier.transport.resolver import FAILURE_KEPT_S, KEPT_S, AddressRefused, GuardedResolver, NameUnknown
from tests.unit.transport.addresses import DEVELOPMENT, DISGUISED, PUBLIC, REFUSED


class Names:
    """A DNS stand-in: what each name leads to at the moment, and how often it was asked."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        await self.open.wait()
        if name not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.addresses[name]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def addresses(resolver: GuardedResolver, name: str) -> list[str]:
    return [found["host"] for found in await resolver.resolve(name, 443)]


async def test_a_name_is_looked_up_once_for_all_who_wait() -> None:
    """And again when what is known has aged."""
    names, clock = Names(a=["8.8.8.8", "2606:4700::1"]), Clock()
    resolver = GuardedResolver(names, False, clock)
    found = await asyncio.gather(*(addresses(resolver, "a") for _ in range(50)))
    assert found == [["8.8.8.8", "2606:4700::1"]] * 50 and names.asked == ["a"]
    clock.now = KEPT_S - 0.1
    await addresses(resolver, "a")
    assert names.asked == ["a"]
    clock.now = KEPT_S
    names.addresses["a"] = ["9.9.9.9"]
    assert await addresses(resolver, "a") == ["9.9.9.9"] and names.asked == ["a", "a"]


async def test_a_result_says_which_family_it_is() -> None:
    """The connector is given numbers, never names."""
    resolver = GuardedResolver(Names(a=["8.8.8.8", "2606:4700::1"]), False)
    found = await resolver.resolve("a", 8443)
    assert [(one["family"], one["port"]) for one in found] == [(socket.AF_INET, 8443), (socket.AF_INET6, 8443)]
    assert all(one["flags"] & socket.AI_NUMERICHOST for one in found)


@pytest.mark.parametrize("address", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("beside", [[], ["8.8.8.8"]], ids=["alone", "mixed"])
async def test_a_name_that_leads_to_a_refused_address_is_refused(address: str, beside: list[str]) -> None:
    """As a whole: one public address beside it does not help."""
    resolver = GuardedResolver(Names(a=[*beside, address]), False)
    with pytest.raises(AddressRefused):
        await resolver.resolve("a", 443)


async def test_a_name_that_changes_its_mind_is_seen() -> None:
    """First public, then loopback, then unknown, then public again."""
    names, clock = Names(a=["8.8.8.8"]), Clock()
    resolver = GuardedResolver(names, False, clock)
    assert await addresses(resolver, "a") == ["8.8.8.8"]
    clock.now += KEPT_S
    names.addresses["a"] = ["127.0.0.1"]
    with pytest.raises(AddressRefused):
        await addresses(resolver, "a")
    clock.now += FAILURE_KEPT_S
    del names.addresses["a"]
    with pytest.raises(socket.gaierror):
        await addresses(resolver, "a")
    clock.now += FAILURE_KEPT_S
    names.addresses["a"] = ["9.9.9.9"]
    assert await addresses(resolver, "a") == ["9.9.9.9"]


async def test_a_name_without_addresses_is_unknown() -> None:
    """An empty answer is no success."""
    with pytest.raises(NameUnknown):
        await GuardedResolver(Names(a=[]), False).resolve("a")


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    """A deadline of one delivery is not that of the lookup."""
    names = Names(a=["8.8.8.8"])
    names.open.clear()
    resolver = GuardedResolver(names, False)
    first, second = (asyncio.create_task(addresses(resolver, "a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    names.open.set()
    assert await second == ["8.8.8.8"] and names.asked == ["a"]
    await resolver.close()


@pytest.mark.parametrize("address", [*REFUSED.values(), *DISGUISED.values()])
def test_no_socket_is_made_for_a_refused_address(address: str) -> None:
    """The last word, whatever was resolved: numbers that are refused, and all that are no numbers."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused):
        _guarded_socket(False, (family, socket.SOCK_STREAM, 0, "", (address, 443)))


@pytest.mark.parametrize(("address", "allow_private"), [(PUBLIC[0], False), *((one, True) for one in DEVELOPMENT)])
def test_a_socket_is_made_for_an_allowed_address(address: str, allow_private: bool) -> None:
    """Of the family that was asked for."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    info = (family, socket.SOCK_STREAM, 0, "", (address, 443))
    with _guarded_socket(allow_private, info, lambda address: None) as made:
        assert made.family == family


@pytest.mark.parametrize(("said", "told"), [(errno.EADDRNOTAVAIL, errno.ENETUNREACH), (errno.EMFILE, errno.EMFILE)])
def test_a_machine_without_ipv6_is_not_out_of_ports(said: int, told: int) -> None:
    """The system says the same of both; without IPv6 the endpoint cannot be reached, and waiting is no use."""

    def route(address: tuple[Any, ...]) -> None:
        raise OSError(said, "no")

    with pytest.raises(OSError) as found:
        _guarded_socket(False, (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("2606:4700::1111", 443, 0, 0)), route)
    assert found.value.errno == told


class Hanging:
    """getaddrinfo as it is when the servers of every ``bad…`` name do not answer until released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[str] = []

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        if name.startswith("bad"):
            self.released.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return ["8.8.8.8"]


BAD = [f"bad{number}" for number in range(2 * THREADS)]


async def test_new_names_that_hang_hold_up_no_name_that_was_good() -> None:
    """However many endpoints with dead name servers are registered at once."""
    ask = Hanging()
    lookup = SystemLookup(ask)
    assert await lookup("good") == ["8.8.8.8"]
    stuck = [asyncio.ensure_future(lookup(name)) for name in BAD]
    async with asyncio.timeout(20):
        assert await lookup("good") == ["8.8.8.8"]
    assert not any(one.done() for one in stuck)
    ask.released.set()
    failed = await asyncio.gather(*stuck, return_exceptions=True)
    assert all(isinstance(one, socket.gaierror) for one in failed) and set(ask.asked) == {"good", *BAD}
    lookup.close()


async def test_names_known_to_hang_hold_up_no_new_name() -> None:
    """Once a name has failed, it waits for its like alone."""
    ask = Hanging()
    lookup = SystemLookup(ask)
    ask.released.set()
    await asyncio.gather(*map(lookup, BAD), return_exceptions=True)
    ask.released.clear()
    stuck = [asyncio.ensure_future(lookup(name)) for name in BAD]
    async with asyncio.timeout(20):
        assert await lookup("new") == ["8.8.8.8"]
    assert not any(one.done() for one in stuck)
    ask.released.set()
    await asyncio.gather(*stuck, return_exceptions=True)
    lookup.close()


async def test_a_slow_name_that_recovers_is_good_again() -> None:
    """One quick answer is enough: then it does not wait for those that hang."""
    times = iter([0.0, 5.0, *[9.0] * 100])
    ask = Hanging()
    lookup = SystemLookup(ask, lambda: next(times))
    assert await lookup("a") == ["8.8.8.8"], "in 5 s by this clock"
    assert await lookup("a") == ["8.8.8.8"], "at once"
    stuck = [asyncio.ensure_future(lookup(name)) for name in BAD]
    async with asyncio.timeout(20):
        assert await lookup("a") == ["8.8.8.8"]
    ask.released.set()
    await asyncio.gather(*stuck, return_exceptions=True)
    lookup.close()


async def test_the_systems_own_lookup_knows_this_machine() -> None:
    """getaddrinfo is asked as it should be, and a name that can be none is an OSError."""
    lookup = SystemLookup()
    assert set(await lookup("localhost")) & {"127.0.0.1", "::1"}
    with pytest.raises(OSError):
        await lookup("a" * 64 + ".example")
    lookup.close()
