"""/livez and /readyz: what keeps traffic away, and what does not."""

import asyncio
from dataclasses import replace
from typing import Any

from ingest.probes import degraded
from warehouse.memory import MemoryReads


class Silent(MemoryReads):
    """A ledger that does not answer."""

    async def ready(self) -> None:
        await asyncio.get_running_loop().create_future()


async def test_a_gateway_with_everything_is_ready(gateway: Any) -> None:
    """200 with nothing to say."""
    for path in ("/readyz", "/livez"):
        answer = await gateway.call("GET", path)
        assert (answer.status, answer.json) == (200, {"ready": True, "reasons": [], "degraded": []})


async def test_without_clickhouse_a_gateway_is_ready_and_says_what_is_missing(gateway: Any) -> None:
    """Metering does not need it, so traffic may come."""
    gateway.ledger.available = False
    answer = await gateway.call("GET", "/readyz")
    assert (answer.status, answer.json["ready"], answer.json["reasons"]) == (200, True, [])
    assert answer.json["degraded"][0].startswith("clickhouse: ")


async def test_a_ledger_that_does_not_answer_does_not_delay_readiness(gateway: Any) -> None:
    """It counts as missing when its time is over; without one configured nothing is missing."""
    assert await degraded(replace(gateway.context, clickhouse=Silent())) == ["clickhouse: no answer within 0.5 s"]
    assert await degraded(replace(gateway.context, clickhouse=None)) == []
