"""The shard host against a real broker: what one process does."""

import asyncio
import json

import pytest

from streams.replies import Replies
from streams.state import MemoryStore
from streams.views import CompactedView

pytestmark = pytest.mark.integration


async def test_counts_and_answers(new_log, hosted, eventually):
    """A command is applied once, its entry has the accepted time as timestamp, and who waits is answered."""
    log = await new_log()
    stores = {}
    host, stop = await hosted(log, lambda p: stores.setdefault(p, MemoryStore()))
    replies = Replies(log.kafka, topic=log.names.replies)
    await replies.start()
    await eventually(lambda: not host.reasons())
    expected = replies.expect()
    await log.send([(b"acme", {"do": "count"})], headers=[expected.header])
    reply = await asyncio.wait_for(expected.future, 10)
    assert (reply.n, reply.status) == (expected.n, 1)
    assert stores[0].get(b"count/acme") == b"1"
    (line,) = await log.read(log.names.entries)
    (raw,) = await log.read(log.names.raw)
    assert (line.key, line.timestamp) == (b"acme", raw.timestamp)
    await eventually(lambda: replies.positions == {0: 1})
    await replies.stop()
    await stop()
