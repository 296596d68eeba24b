"""Cost of the pricer's pure code: decode, decide, encode; in µs per event, without Kafka.

``python -m bench.pricer_micro [seconds per row]`` prints one line for each shape of command.
"""

import sys
import time

import msgspec

from pricer.memory import MemoryShard
from pricer.processor import Pricer
from schemas import commands
from schemas.commands import InstallPrice, Meter, MeterEvent
from schemas.prices import DEFAULTS
from schemas.topics import PRICE_KEY
from streams.state import Checkpoint, MemoryStore
from streams.types import InputRecord

CUSTOMER = "acme-corp"
WINDOW = 35 * 86_400_000


def priced() -> MemoryStore:
    """Return a shard that holds the default prices."""
    log = MemoryShard(1)
    for number, seed in enumerate(DEFAULTS, 1):
        log.append(PRICE_KEY, InstallPrice(number, number, seed.action_type, seed.rates))
    return log.shards[0]


def record(offset: int, size: int, keyed: bool, metadata: bool) -> InputRecord:
    """Return a meter command of ``size`` events that differ in tokens, agent and action."""
    events = [
        MeterEvent(
            f"agent-{i % 7}",
            DEFAULTS[i % len(DEFAULTS)].action_type,
            tokens=(offset * 7919 + i * 104_729) % 50_000,
            outcome="success" if i % 3 else None,
            metadata=msgspec.Raw(b'{"user": "u-17", "score": 0.75, "tags": ["a", "b"]}')
            if metadata
            else commands.EMPTY,
            idempotency_key=f"{offset}-{i}" if keyed else None,
        )
        for i in range(size)
    ]
    value = commands.encode(Meter(CUSTOMER, 1, events, WINDOW, WINDOW, batch=size > 1))
    return InputRecord(0, offset, CUSTOMER.encode(), value, 1_777_000_000_000 + offset)


def measure(size: int, keyed: bool, metadata: bool, seconds: float) -> float:
    """Apply fresh commands for about ``seconds``; return the µs per event."""
    store, pricer = priced(), Pricer(4)
    spent, events, offset = 0.0, 0, 100
    while spent < seconds:
        batch = [record(offset + i, size, keyed, metadata) for i in range(20)]
        offset += len(batch)
        begun = time.perf_counter()
        decisions = [pricer.apply(one, store) for one in batch]
        spent += time.perf_counter() - begun
        events += size * len(batch)
        for decision in decisions:
            kept = Checkpoint("bench", 0, 0, batch[-1].at)
            store.write(dict(decision.changes), decision.retained, kept)
    return spent / events * 1e6


def main() -> None:
    """Print the table."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    for size in (1, 100, 1000):
        for keyed, metadata in ((False, False), (True, False), (True, True)):
            cost = measure(size, keyed, metadata, seconds)
            shape = ("key" if keyed else "no key") + (", metadata" if metadata else "")
            print(f"{size:>5} events a command, {shape:<14} {cost:7.2f} µs/event")


if __name__ == "__main__":
    main()
