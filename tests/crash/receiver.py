"""A webhook receiver that fails at random, and what it received: the other side of the torture."""

import asyncio
import json
import random
from collections import defaultdict
from dataclasses import dataclass, field

from aiohttp import web

from schemas import signing
from schemas.signing import SignatureError

MOST_FAILURES = 2
"""Of one delivery: the tries after it have to be taken, or the run would wait for the long tail."""


@dataclass
class Mailbox:
    """By endpoint and event: the delivery ids it came under, and how often it was taken."""

    ids: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    taken: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    unsigned: list[str] = field(default_factory=list)
    requests: int = 0


class Receiver:
    """Serves /<endpoint> on loopback. ``secrets``: by endpoint, put in when they are known."""

    def __init__(self, seed: int, failing: float) -> None:
        self.box = Mailbox()
        self.secrets: dict[str, str] = {}
        self._rng = random.Random(seed)
        self._failing = failing
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/{endpoint}", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        endpoint, body = request.match_info["endpoint"], await request.read()
        self.box.requests += 1
        try:
            now_s = float(request.headers.get(signing.TIMESTAMP, "0"))
            event = signing.verify([self.secrets[endpoint]], request.headers, body, now_s).event_id
        except (SignatureError, ValueError) as error:
            self.box.unsigned.append(f"{endpoint}: {error}")
            return web.Response(status=400)
        place = (endpoint, str(json.loads(body)["id"]))
        if event != place[1]:
            self.box.unsigned.append(f"{endpoint}: header {event}, body {place[1]}")
        self.box.ids[place].add(request.headers[signing.DELIVERY])
        if self._rng.random() < self._failing and self.box.failed[place] < MOST_FAILURES:
            self.box.failed[place] += 1
            return await self._fail(request)
        self.box.taken[place] += 1
        return web.Response(status=204)

    async def _fail(self, request: web.Request) -> web.StreamResponse:
        """One of: an error, a reset, an answer that takes its time and is an error."""
        kind = self._rng.randrange(3)
        if kind == 0:
            return web.Response(status=self._rng.choice([500, 503, 429, 408]))
        if kind == 1 and request.transport is not None:
            request.transport.abort()
            return web.Response(status=500)
        await asyncio.sleep(1)
        return web.Response(status=502)
