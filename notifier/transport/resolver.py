"""Resolves names for the HTTP client: one lookup however many callers wait, cached for seconds, and refused
as a whole if one of the addresses is not allowed.

The socket (notifier.transport.connector) has the final check: the resolver never sees an address given in
the URL. It refuses early only so that a name with both kinds of addresses is refused.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

from schemas.webhook_urls import is_refused

Lookup = Callable[[str], Awaitable[list[str]]]
"""Function that returns the addresses of a name. Raises OSError."""

KEPT_S = 10.0
FAILURE_KEPT_S = 1.0
KEPT_NAMES = 10_000


class AddressRefused(OSError):
    """Error: a connection to an address that webhooks are never sent to; it was not made."""


class NameUnknown(OSError):
    """Error: a name without any address."""


class GuardedResolver(AbstractResolver):
    """Resolver that returns the addresses of a name, all of them allowed, or raises AddressRefused."""

    def __init__(self, lookup: Lookup, allow_private: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup, self._allow_private, self._clock = lookup, allow_private, clock
        self._known: OrderedDict[str, tuple[float, list[str] | OSError]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[list[str] | OSError]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises OSError. Cancelling one caller does not cancel the lookup
        for the others."""
        known = self._known.get(host)
        found = known[1] if known is not None and self._clock() < known[0] else await self._ask(host)
        if isinstance(found, OSError):
            raise found.with_traceback(None)
        return [_result(host, address, port) for address in found]

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask(self, host: str) -> list[str] | OSError:
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = asyncio.create_task(self._ask_once(host))
        return await asyncio.shield(task)

    async def _ask_once(self, host: str) -> list[str] | OSError:
        found: list[str] | OSError
        try:
            found = self._fit(await self._lookup(host))
        except OSError as error:
            found = error
        finally:
            del self._asking[host]
        kept = FAILURE_KEPT_S if isinstance(found, OSError) else KEPT_S
        self._known[host] = (self._clock() + kept, found)
        self._known.move_to_end(host)
        if len(self._known) > KEPT_NAMES:
            self._known.popitem(last=False)
        return found

    def _fit(self, addresses: list[str]) -> list[str]:
        if not addresses:
            raise NameUnknown("no address")
        for address in addresses:
            check(address, self._allow_private)
        return addresses


def check(address: str, allow_private: bool) -> None:
    """Raise AddressRefused unless ``address`` is an IP address that may be sent to."""
    try:
        refused = is_refused(ip_address(address), allow_private)
    except ValueError:
        refused = True
    if refused:
        raise AddressRefused("refused: private address")


def _result(name: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=name,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
