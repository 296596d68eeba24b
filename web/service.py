"""The process `rev web`: serves pages until SIGTERM or SIGINT.

It keeps nothing on disk and is in no event's way: without it, events are metered and priced as ever.
"""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import structlog
import uvloop
from aiohttp import web

from schemas.settings import Settings
from streams.listening import listen
from streams.log import setup
from warehouse.accounts import open_accounts
from warehouse.activity import open_activity
from warehouse.dashboard import open_dashboard
from warehouse.queries import open_reads
from warehouse.replay import open_replay
from warehouse.saved_scenarios import open_scenarios
from warehouse.webhook_health import open_webhook_health
from web.application import application
from web.attempt_limits import LOGINS, SIGNUPS, AttemptLimits
from web.data import live_api
from web.default_prices import DefaultPrices
from web.demo_agent import DemoAgent
from web.documents import Documents
from web.gateway_api import GatewayApi
from web.live_feed import LiveFeed
from web.pages.live_page import drawn
from web.service_probes import ServiceProbes
from web.session_cookie import SessionSigner, signing_key
from web.site import WebSite
from web.static_files import StaticFiles
from web.templating import Templates

POLL = 1.0
"""Seconds between two looks at what was just metered, while somebody looks at it."""
CALLS = 1.5
"""Seconds between two calls of the demo agent, while somebody watches it."""
CLOSING = 1.0
"""Seconds that requests in progress have after SIGTERM."""
_log = structlog.get_logger("web")


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    setup("web")
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings) as port:
        _log.info("serving", host=settings.http_host, port=port)
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[int]:
    """Serve while the block runs; yields the port. Raises SettingError if it cannot listen."""
    if settings.public_dashboard:
        _log.warning("REV_PUBLIC_DASHBOARD=1: everyone may read all revenue")
    if settings.signup:
        _log.warning("REV_SIGNUP=on: everyone may make a customer and a key")
    if not settings.secret_key:
        _log.warning("REV_SECRET_KEY is empty: a restart signs everybody out")
    site = make_site(settings)
    runner = web.AppRunner(application(site), access_log=None, shutdown_timeout=CLOSING)
    await runner.setup()
    try:
        await listen(runner, settings.http_host, settings.web_port, "REV_WEB_PORT")
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        reads = (site.reads, site.ledger, site.accounts, site.activity, site.replay, site.scenarios, site.webhooks)
        parts = (*reads, site.probes, site.api)
        await asyncio.gather(*(part.close() for part in parts))


def make_site(settings: Settings) -> WebSite:
    """Return the site of this process."""
    files = StaticFiles()

    def clock() -> int:
        return time.time_ns() // 1_000_000

    key = signing_key(settings.secret_key, settings.admin_token, secrets.token_bytes)
    api = GatewayApi(settings.gateway_url, settings.admin_token)
    reads, templates = open_dashboard(settings), Templates(files)
    return WebSite(
        settings=settings,
        reads=reads,
        ledger=open_reads(settings),
        accounts=open_accounts(settings),
        activity=open_activity(settings),
        api=api,
        prices=DefaultPrices(api, clock),
        replay=open_replay(settings),
        scenarios=open_scenarios(settings),
        webhooks=open_webhook_health(settings),
        feed=LiveFeed(reads, partial(drawn, templates), clock, partial(asyncio.sleep, POLL)),
        events=LiveFeed(reads, live_api.drawn, clock, partial(asyncio.sleep, POLL)),
        demo=DemoAgent(api, Random(), clock, time.monotonic, partial(asyncio.sleep, CALLS)),
        demo_stats={},
        probes=ServiceProbes(),
        observations={},
        signer=SessionSigner(key, clock, secrets.token_hex),
        limits=AttemptLimits(LOGINS, time.monotonic),
        portal_limits=AttemptLimits(LOGINS, time.monotonic),
        signups=AttemptLimits(SIGNUPS, time.monotonic),
        files=files,
        templates=templates,
        documents=Documents(),
        clock=clock,
    )
