"""The SQL of endpoints' health on the real engine, against plain Python over the same attempts."""

import random
import time
from typing import Any

import msgspec
import pytest
from msgspec.structs import asdict

from schemas.deliveries import Attempt, Gap
from tests.integration.reads.conftest import filled
from warehouse.webhook_health import HealthRow, LedgerWebhookHealth

pytestmark = pytest.mark.integration
__all__ = ["filled"]
NOW = time.time_ns() // 1_000_000
"""Of today: the table forgets attempts after 36 days."""
SINCE = NOW - 5000


def attempts(rng: random.Random) -> list[dict[str, Any]]:
    """Records of three endpoints as the ledger copies them, some twice."""
    rows: list[dict[str, Any]] = []
    for offset in range(400):
        webhook, at = rng.randrange(3), NOW - rng.randrange(10_000)
        outcome = rng.choice(["delivered", "retry", "dead", "dropped"])
        record: Attempt | Gap
        if rng.random() < 0.1:
            record = Gap(webhook, "acme", 0, 1, 2, since=at - 9, until=at, at=at, reason="behind")
        else:
            record = Attempt(
                webhook_id=webhook,
                customer_id="acme",
                delivery_id=f"d{offset}",
                event_id="evt_1",
                type="meter.created",
                partition=0,
                offset=1,
                index=0,
                attempt=1,
                at=at,
                outcome=outcome,
                latency=rng.randrange(1000),
            )
        row = {**asdict(record), "gap": isinstance(record, Gap), "log_partition": 0, "log_offset": offset}
        rows += [row] * rng.choice([1, 1, 2])
    return rows


async def test_health_is_what_plain_python_counts(filled: Any) -> None:
    rows = attempts(random.Random(5))
    lines = b"\n".join(
        msgspec.json.encode({name: value for name, value in row.items() if value is not None}) for row in rows
    )
    filled.client.raw_insert("rev._deliveries", insert_block=lines, fmt="JSONEachRow")
    found = await LedgerWebhookHealth(filled.engine).health([0, 2, 9], SINCE)
    assert found == {webhook: expected(rows, webhook) for webhook in (0, 2)}
    assert await LedgerWebhookHealth(filled.engine).health([], SINCE) == {}
    assert await LedgerWebhookHealth(filled.engine).health([0], NOW + 1) == {}


def expected(rows: list[dict[str, Any]], webhook: int) -> HealthRow:
    mine = {row["log_offset"]: row for row in rows if row["webhook_id"] == webhook and row["at"] >= SINCE}.values()
    tried = [row for row in mine if not row["gap"] and row["outcome"] != "dropped"]
    count = {
        name: sum(not row["gap"] and row["outcome"] == name for row in mine)
        for name in ("delivered", "dead", "dropped")
    }
    latencies = sorted(row["latency"] for row in tried if row["outcome"] == "delivered")
    last = max(tried, key=lambda row: (row["at"], row["log_offset"]))
    return HealthRow(
        webhook=webhook,
        attempts=len(tried),
        **count,
        gaps=sum(row["gap"] for row in mine),
        latency=latencies[len(latencies) // 2],
        last=last["at"],
        last_outcome=last["outcome"],
    )
