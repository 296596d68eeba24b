"""Decides a running stack's whole log a second time and compares what comes out byte by byte (docs/decisions/0031).

The second reading cuts the log into other transactions than the first and is restored from the entries now and then,
as an owner of the shard that takes over is. It needs the log alone: no answer, no ledger.
"""

import asyncio
import random
import time
from itertools import accumulate
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition

from bench.running_stack import RunningStack
from pricer.processor import Pricer
from schemas.topics import ENTRIES, RAW, STATE
from streams.overlay import HOST, Overlay
from streams.partition_reader import PartitionReader
from streams.state import Checkpoint, MemoryStore
from streams.types import InputRecord

MOST = 700
"""Maximum records of one transaction of the second reading."""
LIVES = 4
"""How many times one shard's reading begins with a restored state, on average."""


class ShardLog(NamedTuple):
    """What Kafka holds of one shard, committed records only."""

    raw: list[InputRecord]
    entries: list[tuple[bytes, bytes, int]]
    state: dict[bytes, bytes]


def differences(running: RunningStack, partitions: int, seed: int) -> list[str]:
    """Return what a second reading decides otherwise; empty if nothing. Nothing may be writing."""
    rng = random.Random(seed)
    found: list[str] = []
    for partition in range(partitions):
        log = asyncio.run(_read(running.run["kafka"], partition))
        entries, state = _decided(log.raw, Pricer(partitions), rng)
        print(f"  shard {partition}: {len(log.raw)} commands decided again, {len(entries)} entry records")
        pairs = zip(log.entries, entries, strict=False)
        wrong = [index for index, (first, second) in enumerate(pairs) if first != second]
        found += [f"shard {partition}: entry record {index}: {log.entries[index]} {entries[index]}" for index in wrong]
        if len(entries) != len(log.entries):
            found.append(f"shard {partition}: {len(log.entries)} entry records, then {len(entries)}")
        keys = {key for key in log.state.keys() | state.keys() if log.state.get(key) != state.get(key)}
        found += [f"shard {partition}: state {key!r}: {log.state.get(key)!r} {state.get(key)!r}" for key in keys]
    return found


def _decided(
    raw: list[InputRecord], pricer: Pricer, rng: random.Random
) -> tuple[list[tuple[bytes, bytes, int]], dict[bytes, bytes]]:
    """Return the entry records and the state of a whole log."""
    store, entries = MemoryStore(), list[InputRecord]()
    following = 0
    while following < len(raw):
        seen = Overlay(store)
        cut = raw[following : following + rng.randint(1, MOST)]
        for record in cut:
            decision = pricer.apply(record, seen)
            seen.apply(decision)
            if decision.entries is not None:
                entries.append(InputRecord(record.partition, 0, record.key, decision.entries, record.at))
        at = Checkpoint("again", 0, 0, cut[-1].at)
        store.write(seen.changes, seen.retained.values(), at)
        following += len(cut)
        if rng.random() * len(raw) < LIVES * len(cut):
            state, store = dict(store.scan(b"")), MemoryStore()
            store.write(state, [one for entry in entries for one in pricer.retained_from(entry)], at)
    return [(entry.key, entry.value, entry.at) for entry in entries], dict(store.scan(b""))


async def _read(kafka: str, partition: int) -> ShardLog:
    raw, entries, state = [await _records(kafka, topic, partition) for topic in (RAW, ENTRIES, STATE)]
    last = {record.key: record.value for record in state}
    times = accumulate((one.timestamp for one in raw), max)
    return ShardLog(
        [InputRecord(partition, one.offset, one.key, one.value, at) for one, at in zip(raw, times, strict=True)],
        [(one.key, one.value, one.timestamp) for one in entries],
        {key: value for key, value in last.items() if value is not None and not key.startswith(HOST)},
    )


async def _records(kafka: str, topic: str, partition: int) -> list[ConsumerRecord]:
    reader = PartitionReader(kafka, TopicPartition(topic, partition), clock=time.monotonic, silence=30)
    found: list[ConsumerRecord] = []
    try:
        first, end = await reader.open()
        reader.seek(first)
        while await reader.position() < end:
            found += await reader.read(0.5, 10_000)
        return found
    finally:
        await reader.close()
