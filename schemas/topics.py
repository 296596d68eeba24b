"""The topics: names, keys, partitioning and the settings with which each is created."""

from typing import NamedTuple

from schemas.limits import DAY, MAX_MESSAGE

RAW = "rev.raw"
ENTRIES = "rev.entries"
STATE = "rev.state"
REPLIES = "rev.replies"
CONFIG = "rev.config"
DELIVERIES = "rev.deliveries"
DEAD = "rev.dead"
BACKLOGS = "rev.backlogs"
"""The endpoint queues of the notifier: references into rev.entries, by endpoint."""
INVOICES = "rev.invoices"
"""Invoices, credit notes and what they derive from (schemas.invoices). One partition: numbers have no gaps."""
CLOCK = "rev.clock"
"""Heartbeats only: a timer reads the broker's time from their append times."""

CONFIG_KEY = b"_config"
"""Key of configuration commands in rev.raw; its shard is the configuration shard."""
PRICE_KEY = b"_price"
"""Key of numbered price records in rev.raw; they are sent to partitions, not by key."""
REPLY_HEADER = "reply"
"""Header of a raw record that wants a reply: ``<boot id>:<request number>:<partition>``."""

NEVER = str(2**63 - 1)


class Topic(NamedTuple):
    """The name, partitions and settings with which a topic is created."""

    name: str
    partitions: int
    config: dict[str, str]


def _kept(milliseconds: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds), "retention.bytes": "-1"}


def topics(partitions: int, reply_partitions: int = 8, delivery_partitions: int = 4) -> list[Topic]:
    """Return every topic of Rev. rev.config comes last: if it exists, all the others do."""
    big = {"max.message.bytes": str(MAX_MESSAGE)}
    # Shards write with their own monotone time, which stays ahead when the broker's clock is set back.
    derived = {**big, "message.timestamp.after.max.ms": NEVER}
    compacted = {"cleanup.policy": "compact", "delete.retention.ms": str(7 * DAY), **derived}
    return [
        Topic(RAW, partitions, {**_kept(36 * DAY), **big, "message.timestamp.type": "LogAppendTime"}),
        Topic(ENTRIES, partitions, {**_kept(36 * DAY), **derived}),
        Topic(STATE, partitions, compacted),
        # Small segments: an open one is not compacted, and a start reads everything that is there. Not
        # flushed: a power cut leaves an older state, so what was delivered since is delivered again.
        Topic(BACKLOGS, partitions, {**compacted, "segment.bytes": str(8 << 20), "flush.messages": NEVER}),
        Topic(INVOICES, 1, compacted),
        # replies are hints: where the broker flushes every record by default, they are exempt
        Topic(REPLIES, reply_partitions, {**_kept(10 * 60_000), **big, "segment.ms": "60000", "flush.messages": NEVER}),
        Topic(DELIVERIES, delivery_partitions, {**_kept(36 * DAY), **big}),
        Topic(
            CLOCK,
            1,
            {
                **_kept(10 * 60_000),
                "message.timestamp.type": "LogAppendTime",
                "flush.messages": NEVER,
                "segment.ms": "60000",
            },
        ),
        Topic(DEAD, 1, {**_kept(36 * DAY), **derived}),
        Topic(CONFIG, 1, compacted),
    ]


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner (murmur2) gives a key."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit MurmurHash2 variant: seed 0x9747b28c (org.apache.kafka.common.utils.Utils)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    for i in range(0, length & ~3, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    tail = data[length & ~3 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
