"""Health, logs, replies and the instance lock, without a broker."""

import asyncio
import json
import logging

import aiohttp
import pytest
import structlog

from schemas.replies import ConfiguredReply, RefusedReply, ReplyRecord, encode
from schemas.settings import SettingError
from streams.errors import InstanceTaken
from streams.health import HealthServer
from streams.instance import Instance
from streams.log import setup
from streams.reply_receiver import ReplyReceiver


async def test_health():
    """/readyz is 200 without reasons and 503 with them; /livez and /metrics always answer."""
    reasons = ["shard 1 is not running"]
    server = HealthServer(None, lambda: reasons)
    await server.start()
    base = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(base + "/readyz") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (503, reasons)
        reasons.clear()
        async with session.get(base + "/readyz") as answer:
            assert answer.status == 200
        async with session.get(base + "/livez") as answer:
            assert answer.status == 200
        async with session.get(base + "/metrics") as answer:
            assert "rev_transaction_seconds" in await answer.text()
    await server.stop()


async def test_no_health_server():
    """Port 0 is no server at all."""
    server = HealthServer(0, list)
    await server.start()
    assert server.port == 0
    await server.stop()


def test_logs_are_json(capsys):
    """A log line is one JSON object with the service and the ids as fields."""
    root = logging.getLogger()
    before = root.handlers, root.level
    setup("toy")
    try:
        structlog.get_logger("x").error("shard_failed", shard=3, error="boom")
    finally:
        structlog.reset_defaults()
        root.handlers, level = before
        root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["service"], line["event"], line["shard"], line["level"]) == ("toy", "shard_failed", 3, "error")


async def test_replies_resolve_their_own():
    """An answer resolves the number of this boot; other boots', forgotten and unreadable ones are ignored."""
    replies = ReplyReceiver("nowhere")
    wanted, unwanted = replies.expect(), replies.expect()
    replies.forget(unwanted.n)
    mine = replies.boot.encode()
    replies.receive(b"other", encode(ReplyRecord(0, 9, [ConfiguredReply(n=wanted.n)])))
    replies.receive(mine, b"not json")
    replies.receive(mine, None)
    assert not wanted.future.done() and replies.positions == {}
    refused = RefusedReply(409, "conflict", "no", n=wanted.n)
    replies.receive(mine, encode(ReplyRecord(2, 11, [ConfiguredReply(n=unwanted.n), refused])))
    assert wanted.future.result() == refused and not unwanted.future.done()
    replies.receive(b"*", encode(ReplyRecord(1, 5)))
    replies.receive(b"*", encode(ReplyRecord(3, 5, decided=8)))
    assert replies.positions == {2: 11, 1: 5, 3: 5}
    assert replies.decided == {2: 11, 1: 5, 3: 8}


async def test_stopping_releases_who_waits():
    """Nobody is left waiting for an answer when the reader stops."""
    replies = ReplyReceiver("nowhere")
    waiting = replies.expect()
    await replies.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting.future


def test_instance_lock(tmp_path):
    """The ordinal names the state directory and is held by one process at a time."""
    held = Instance(tmp_path, "pricer", 2)
    assert held.directory == tmp_path / "state" / "pricer-2"
    with pytest.raises(InstanceTaken, match="pricer-2"):
        Instance(tmp_path, "pricer", 2)
    held.release()
    Instance(tmp_path, "pricer", 2).release()


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    """One sentence that says which setting it is, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match=r"cannot write to .*file/state/pricer-0 \(Not a directory\); set REV_DATA"):
        Instance(tmp_path / "file", "pricer", 0)
