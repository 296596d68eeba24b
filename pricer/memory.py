"""The pricer over a log in memory: a stand-in for Kafka and the shard host in tests and benchmarks.

It keeps the host's guarantees (streams.types): a decision is kept as a whole, and outgoing records are appended after
it. No I/O.
"""

from pricer.processor import Pricer
from schemas.commands import Command, encode
from schemas.topics import partition_of
from streams.overlay import Overlay
from streams.state import RETENTION, Checkpoint, MemoryStore
from streams.types import Decision, InputRecord


class MemoryShard:
    """All the shards of a log: the appended records, their results, and the topics written. ``retention`` is the
    minimum ms that a shard retains idempotency records."""

    def __init__(self, partitions: int = 4, retention: int = RETENTION) -> None:
        self.pricer = Pricer(partitions)
        self.shards = [MemoryStore(retention) for _ in range(partitions)]
        self.raw: list[list[InputRecord]] = [[] for _ in range(partitions)]
        self.entries: list[list[InputRecord]] = [[] for _ in range(partitions)]
        """Records of rev.entries, each as an InputRecord."""
        self.view: dict[bytes, bytes] = {}
        self.now = 0
        """Accepted time of the next append, ms."""

    def append(self, key: bytes, command: Command) -> Decision:
        """Append a command under its key and decide it, then do the same for every record that it sends."""
        return self.append_value(partition_of(key, len(self.shards)), key, encode(command))

    def append_value(self, partition: int, key: bytes, value: bytes) -> Decision:
        """Append and decide an encoded command in a given partition. Raises what the pricer raises."""
        log = self.raw[partition]
        decision = self.decide(InputRecord(partition, len(log), key, value, self.now))
        for sent in decision.outgoing:
            everywhere = tuple(range(len(self.shards)))
            for target in everywhere if sent.partitions is None else sent.partitions:
                self.append_value(target, sent.key, sent.value)
        return decision

    def decide(self, record: InputRecord) -> Decision:
        """Decide one record of the log and keep what it writes; its outgoing records are not appended."""
        self.raw[record.partition].append(record)
        store = self.shards[record.partition]
        seen = Overlay(store)
        decision = self.pricer.apply(record, seen)
        seen.apply(decision)
        store.write(seen.changes, seen.retained.values(), Checkpoint("memory", 0, 0, record.at))
        for key, value in decision.view:
            if value is None:
                self.view.pop(key, None)
            else:
                self.view[key] = value
        if decision.entries is not None:
            written = self.entries[record.partition]
            written.append(InputRecord(record.partition, len(written), record.key, decision.entries, record.at))
        return decision
