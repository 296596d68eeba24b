"""The fixture of an older log (tests/fixtures/README.md): its records and the entries that they left then."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

from schemas import entries
from schemas.entries import EntryRecord
from schemas.topics import partition_of

PARTITIONS = 4
PATH = Path(__file__).parent / "fixtures" / "old_log.jsonl"


class Raw(NamedTuple):
    """One record of rev.raw; ``at``: its append time, ms."""

    partition: int
    offset: int
    at: int
    key: bytes
    value: bytes


class OldLog(NamedTuple):
    """``raw`` by partition and offset; ``entries`` by (partition, raw offset)."""

    raw: list[Raw]
    entries: dict[tuple[int, int], EntryRecord]


@cache
def old_log() -> OldLog:
    """The whole fixture."""
    raw, written = [], {}
    for line in PATH.read_text().splitlines():
        record = json.loads(line)
        if record["topic"] == "rev.raw":
            key, value = record["key"].encode(), record["value"].encode()
            raw.append(Raw(record["partition"], record["offset"], record["at"], key, value))
        else:
            entry = entries.decode(record["value"].encode())
            written[partition_of(entry.customer_id.encode(), PARTITIONS), entry.raw_offset] = entry
    return OldLog(raw, written)


def by_partition(raw: list[Raw]) -> dict[int, list[Raw]]:
    """The records of each partition in order."""
    found: dict[int, list[Raw]] = defaultdict(list)
    for record in raw:
        found[record.partition].append(record)
    return found
