"""What a shard owes is sent in order until it stands, and told only then."""

import asyncio

from streams import outbox
from streams.appends import Appended
from streams.errors import AppendUnknown
from streams.outbox import Outbox, outbox_entries
from streams.state import Checkpoint, MemoryStore
from streams.types import OutgoingRecord


class Sender:
    """Keeps what is appended; fails as often as it is told; holds everything while ``gate`` is closed."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.sent: list[tuple[int, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, key, value, headers=(), partition=None):
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise AppendUnknown("told to")
        self.sent.append((partition, value))
        return Appended(partition, len(self.sent), 0)


OUTGOING = (OutgoingRecord(None, b"k", b"one"), OutgoingRecord((1,), b"k", b"two"))


async def test_order_and_settling():
    """Each record reaches its partitions before the next is sent; then the decision is told and acknowledged."""
    sender = Sender()
    box = Outbox(0, sender)
    told = asyncio.Event()

    async def announce():
        assert [value for _, value in sender.sent] == [b"one"] * 3 + [b"two"]
        told.set()

    to_append = outbox_entries(7, OUTGOING, 3)
    box.put(to_append, announce)
    await asyncio.wait_for(told.wait(), 5)
    assert sorted(sender.sent) == [(0, b"one"), (1, b"one"), (1, b"two"), (2, b"one")]
    assert box.acknowledged == [key for key, _ in to_append]
    await box.close()


async def test_nothing_is_told_before_it_stands():
    """While an append does not stand nothing is acknowledged; after failures it is sent again."""
    sender = Sender(failures=2)
    sender.gate.clear()
    box, told = Outbox(0, sender, retry=0.0), asyncio.Event()

    async def announce():
        told.set()

    box.put(outbox_entries(1, OUTGOING[1:], 2), announce)
    await asyncio.sleep(0)
    assert box.acknowledged == [] and not told.is_set()
    sender.gate.set()
    await asyncio.wait_for(told.wait(), 5)
    assert sender.sent == [(1, b"two")]
    await box.close()


async def test_resumes_in_order():
    """After a restart everything in the state is sent in the order of the commands."""
    store, sender = MemoryStore(), Sender()
    to_append = [*outbox_entries(100, OUTGOING[1:], 2), *outbox_entries(9, OUTGOING, 2)]
    store.write({key: outbox.encode(one) for key, one in to_append}, (), Checkpoint("e", 0, 0, 0))
    box = Outbox(0, sender)
    box.resume(store)
    done = asyncio.Event()

    async def announce():
        done.set()

    box.put([], announce)
    await asyncio.wait_for(done.wait(), 5)
    assert [value for _, value in sender.sent] == [b"one", b"one", b"two", b"two"]
    await box.close()
