"""The list of deliveries on the real engine, page by page against plain Python."""

import random
import time
from typing import Any

import msgspec
import pytest

from schemas.limits import DAY
from warehouse.memory import MemoryReads
from warehouse.rows import DeliveryRow

pytestmark = pytest.mark.integration

NEWEST = (2**53, 0, 0)


def generated(seed: int, now: int) -> list[DeliveryRow]:
    """Attempts and gaps of one endpoint from two partitions of the topic, many in the same millisecond."""
    rng = random.Random(seed)
    rows = []
    for partition in (0, 3):
        for offset in range(40):
            gap = rng.random() < 0.1
            row = DeliveryRow(
                log_partition=partition,
                log_offset=offset,
                delivery_id="" if gap else f"d{rng.randrange(12)}",
                event_id="" if gap else f"evt_{offset}",
                type="" if gap else "meter.created",
                partition=partition,
                offset=2**40 + offset,
                index=rng.randrange(1000),
                attempt=0 if gap else rng.randrange(1, 11),
                at=now - rng.randrange(5),
                outcome="" if gap else rng.choice(["delivered", "retry", "dead", "dropped"]),
                latency=rng.randrange(10_000),
                status=rng.choice([None, 204, 500]),
                error=rng.choice(["", 'it\'s \\ "quoted" ü']),
                answer=rng.choice(["", "line\nline"]),
                next_at=rng.choice([None, now + 1000]),
                replay=rng.random() < 0.5,
                gap=gap,
                reason="over its limit" if gap else "",
                since=now - DAY if gap else 0,
                until=now if gap else 0,
            )
            rows.append(row)
    return rows


async def test_pages_of_deliveries_equal_the_reference(filled: Any) -> None:
    """Newest first, nothing twice and nothing left out, also of one delivery alone and after a repeat."""
    rows = generated(7, time.time_ns() // 1_000_000)
    memory = MemoryReads()
    memory.attempts[5] = list(rows)
    lines = [
        msgspec.json.encode({"webhook_id": 5, "customer_id": "acme", **msgspec.structs.asdict(row)}) for row in rows
    ]
    other = msgspec.json.encode({"webhook_id": 6, "customer_id": "acme", **msgspec.structs.asdict(rows[0])})
    for part in (lines[:50], lines[30:], [other]):  # some are written twice
        filled.client.raw_insert("rev._deliveries", insert_block=b"\n".join(part), fmt="JSONEachRow")
    for delivery in ("", "d3", "nobody's"):
        place, seen = NEWEST, []
        while page := await filled.reads.deliveries(5, place, 7, delivery):
            assert page == await memory.deliveries(5, place, 7, delivery)
            seen += page
            place = page[-1].position
        wanted = [row for row in rows if delivery in ("", row.delivery_id)]
        assert sorted(seen, key=lambda row: row.position) == sorted(wanted, key=lambda row: row.position)
