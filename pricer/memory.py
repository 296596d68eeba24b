"""The pricer over a log in memory: the stand-in for Kafka and the shard host in tests and
benchmarks. It keeps the host's promises (streams.types): a decision is kept whole, and
outgoing records are appended after it. No I/O.
"""

from collections.abc import Iterator

from pricer.processor import Pricer
from schemas.commands import Command, encode
from schemas.topics import partition_of
from streams.types import Decision, Input, Remembered


class MemoryShard:
    """State of one shard, as the processor sees it (streams.types.StateView)."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.memories: dict[bytes, Remembered] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(sorted(pair for pair in self.values.items() if pair[0].startswith(prefix)))

    def recall(self, key: bytes) -> Remembered | None:
        return self.memories.get(key)

    def keep(self, decision: Decision) -> None:
        """Commit what a decision writes to the state."""
        for key, value in decision.changes:
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        for memory in decision.remembered:
            self.memories[memory.key] = memory


class MemoryLog:
    """All the shards of a log: what was appended, what came of it, and the topics written."""

    def __init__(self, partitions: int = 4) -> None:
        self.pricer = Pricer(partitions)
        self.shards = [MemoryShard() for _ in range(partitions)]
        self.raw: list[list[Input]] = [[] for _ in range(partitions)]
        self.entries: list[list[Input]] = [[] for _ in range(partitions)]
        """Records of rev.entries, as an Input each."""
        self.view: dict[bytes, bytes] = {}
        self.now = 0
        """Accepted time of the next append, ms."""

    def append(self, key: bytes, command: Command) -> Decision:
        """Append a command under its key and decide it, and whatever it sends out."""
        return self.append_value(partition_of(key, len(self.shards)), key, encode(command))

    def append_value(self, partition: int, key: bytes, value: bytes) -> Decision:
        """The same for an encoded command in a given partition. Raises what the pricer raises."""
        log, shard = self.raw[partition], self.shards[partition]
        record = Input(partition, len(log), key, value, self.now, request=len(log))
        log.append(record)
        decision = self.pricer.apply(record, shard)
        self.keep(record, decision)
        for sent in decision.outgoing:
            everywhere = tuple(range(len(self.shards)))
            for target in everywhere if sent.partitions is None else sent.partitions:
                self.append_value(target, sent.key, sent.value)
        return decision

    def keep(self, record: Input, decision: Decision) -> None:
        """Commit everything that a decision writes, but for what it sends out."""
        self.shards[record.partition].keep(decision)
        for key, value in decision.view:
            if value is None:
                self.view.pop(key, None)
            else:
                self.view[key] = value
        if decision.entries is not None:
            written = self.entries[record.partition]
            written.append(Input(record.partition, len(written), record.key, decision.entries, record.at))
