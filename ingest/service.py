"""The gateway process: connects to the log, serves, and stops within 2 s of SIGTERM."""

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
import uvloop

from ingest.app import application
from ingest.collector_client import CollectorClient
from ingest.command_log import CommandLog
from ingest.config_view import ConfigView
from ingest.context import Context
from ingest.disk_reserve import DiskReserve
from ingest.serving import GatewayRunner
from ingest.shedding import Shedder
from ingest.unpriced_actions import UnpricedActions
from ingest.web_proxy import WebProxy
from schemas.secrets import SecretBox, read_key
from schemas.settings import LOOPBACK, Settings
from schemas.topics import CONFIG
from streams import descriptors, garbage, log
from streams.appends import Appender
from streams.listening import listen
from streams.reply_receiver import ReplyReceiver
from streams.views import CompactedView
from streams.waiting import first_of
from warehouse.queries import open_reads

GRACE = 1.0
"""Seconds after SIGTERM until requests in progress are answered with 202."""
CLOSING = 0.5
"""Seconds more until a connection is closed anyway."""

_log = structlog.get_logger("ingest")


class Gateway(NamedTuple):
    """A running gateway."""

    context: Context
    port: int


def main(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    log.setup("ingest")
    descriptors.raise_limit()
    garbage.scan_less()
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, stop) as gateway:
        _log.info("serving", host=settings.http_host, port=gateway.port)
        await stop.wait()
        _log.info("stopping")


@asynccontextmanager
async def running(settings: Settings, stop: asyncio.Event | None = None) -> AsyncIterator[Gateway]:
    """Serve a gateway while the block runs, and finish the requests in progress at the end. One of several on a port
    joins the others once it is ready, or when ``stop`` is set. Raises SettingError if it cannot listen.
    """
    if settings.open_admin:
        _log.warning("REV_OPEN_ADMIN=1: everyone may make keys and set prices")
    view = ConfigView()
    follower = CompactedView(settings.kafka, CONFIG, view.apply)
    appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
    replies = ReplyReceiver(settings.kafka, host=settings.reply_host)
    shedder = Shedder(time.monotonic, replies.decided)
    reserve = DiskReserve(str(settings.data), settings.disk_reserve)
    submitter = CommandLog(settings, appender, replies, shedder, reserve)
    reads = open_reads(settings)
    collector = CollectorClient(settings.collector_url, settings.admin_token) if settings.collector_url else None
    listed = [settings.data / "gateway" / f"unpriced-{number}.json" for number in range(settings.gateways)]
    own = settings.data / "gateway" / f"unpriced-{settings.ordinal}.json"
    context = Context(
        settings=settings,
        appender=appender,
        replies=replies,
        view=view,
        follower=follower,
        submitter=submitter,
        reserve=reserve,
        clock=lambda: time.time_ns() // 1_000_000,
        token=secrets.token_hex,
        random_bytes=secrets.token_bytes,
        box=SecretBox(read_key(settings.secret_key)) if settings.secret_key else None,
        clickhouse=reads,
        collector=collector,
        unpriced=UnpricedActions([path for path in listed if path != own]),
    )
    context.unpriced.load(own)
    keeping = asyncio.create_task(context.unpriced.keep(own))
    reserve.check()
    looking = asyncio.create_task(reserve.watch())
    # a gateway alone on its port serves meanwhile, so that /readyz can name what is missing and intake answers 503
    connecting = asyncio.create_task(_connect(follower, appender, replies))
    pages = WebProxy(settings.web_url) if settings.web_url else None
    runner = GatewayRunner(application(context, shedder, pages), GRACE + CLOSING)
    await runner.setup()
    try:
        shared = settings.gateways > 1
        if shared:
            if settings.metrics_port:
                await listen(runner, LOOPBACK, settings.metrics_port, "REV_METRICS_PORT")
            await first_of([connecting], stop or asyncio.Event())
        await listen(runner, settings.http_host, settings.http_port, "REV_HTTP_PORT", shared=shared)
        yield Gateway(context, runner.addresses[0][1])
    finally:
        timer = asyncio.get_running_loop().call_later(GRACE, submitter.stop_waiting)
        await runner.cleanup()
        timer.cancel()
        background = (looking, connecting, keeping)
        for task in background:
            task.cancel()
        await asyncio.wait(background)
        await asyncio.gather(appender.stop(), replies.stop(), follower.stop(), reads.close())
        for client in (pages, collector):
            if client is not None:
                await client.close()


async def _connect(follower: CompactedView, appender: Appender, replies: ReplyReceiver) -> None:
    try:
        await asyncio.gather(follower.start(), appender.start(), replies.start())
    except Exception as error:
        _log.exception("cannot connect to the log; the gateway stays not ready", error=repr(error))
        raise
    _log.info("connected")
