"""What is decided and not committed: bounds, order, who may be answered when, and what a failed commit leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from schemas.limits import MAX_TRANSACTION_EVENTS, MAX_TRANSACTION_RAW
from schemas.replies import ConfiguredReply, RefusedReply
from streams import clients, committer, position
from streams.committer import Committer
from streams.errors import Hung
from streams.input_buffer import QueuedRecord
from streams.rejects import BrokerRejections
from streams.restore import Restored
from streams.state import FORMAT, Checkpoint, MemoryStore
from streams.topic_names import STANDARD
from streams.transaction_builder import SAFE_ENTRY, TransactionBuilder
from streams.types import Decision, InputRecord, OutgoingRecord

TO = (b"boot", 0)


def item(offset: int, size: int = 10, weight: int = 1) -> QueuedRecord:
    return QueuedRecord(InputRecord(0, offset, b"k", b"v", 1000 + offset), size, weight, TO, offset)


def told(offset: int) -> RefusedReply:
    return RefusedReply(200, "", "", n=offset)


class Log:
    """In the place of `streams.transaction.commit`: keeps what was committed; ``gate`` holds a commit back, ``error``
    ends it."""

    def __init__(self) -> None:
        self.commits: list[dict[str, int]] = []
        self.offsets: dict[str, int] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = 0
        self.error: Exception | None = None

    async def __call__(self, producer: Any, batches: Any) -> None:
        self.begun += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        counts = {}
        for batch in batches:
            bases = []
            for builder in batch.builders:
                bases.append(self.offsets.get(batch.topic, 0))
                self.offsets[batch.topic] = bases[-1] + builder.record_count()
            batch.sent(bases)
            counts[batch.topic] = sum(builder.record_count() for builder in batch.builders)
        self.commits.append(counts)


class Outbox:
    def __init__(self) -> None:
        self.acknowledged: list[bytes] = []


class Rig:
    """A committer over a store in memory. ``done``: the transactions that stand; ``now``: the clock, s."""

    def __init__(self, log: Log, producer: Any, immediate: bool, rejections: BrokerRejections | None = None) -> None:
        self.log, self.store, self.outbox = log, MemoryStore(), Outbox()
        self.rejections = rejections or BrokerRejections()
        self.done: list[TransactionBuilder] = []
        self.now = 100.0

        async def committed(transaction: TransactionBuilder) -> None:
            self.done.append(transaction)

        self.commits = Committer(
            producer,
            self.store,
            self.outbox,  # type: ignore[arg-type]
            self.rejections,
            Restored(0, 0, Checkpoint("e", 0, 0, 0, FORMAT), immediate),
            7,
            transaction=lambda below: TransactionBuilder(producer, 0, 2, below, STANDARD),
            committed=committed,
            clock=lambda: self.now,
        )

    def decide(self, offset: int, value: bytes = b"1", **decision: Any) -> bool:
        """Adds an entry and a change under the key ``s``."""
        given = {"entries": b"{}", "changes": ((b"s", value),), "reply": told(offset), **decision}
        safe = self.commits.pending.add(item(offset), Decision(**given), self.commits.immediate)
        self.commits.ask()
        return safe

    def position(self) -> position.Position:
        found = position.decode(self.store.get(position.KEY))
        assert found is not None
        return found


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(rig.commits.run())
    try:
        yield task
    finally:
        clients.forget(task)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(committer, "commit", made)
    return made


@pytest.fixture
async def producer() -> AsyncIterator[Any]:
    made = clients.transactional_producer("127.0.0.1:1", "t")
    yield made
    await clients.discard_producer(made)


async def test_bounds_of_a_transaction(log: Log, producer: Any) -> None:
    """Raw bytes, events and the ceiling of what Kafka refused; at least one record fits."""
    cases = [
        ([(10, MAX_TRANSACTION_EVENTS - 1)], (10, 1), True),
        ([(10, MAX_TRANSACTION_EVENTS)], (10, 1), False),
        ([], (10, 10 * MAX_TRANSACTION_EVENTS), True),
        ([(MAX_TRANSACTION_RAW - 20, 1)], (20, 1), True),
        ([(MAX_TRANSACTION_RAW - 20, 1)], (21, 1), False),
        ([], (2 * MAX_TRANSACTION_RAW, 1), True),
    ]
    for there, (size, weight), fits in cases:
        rig = Rig(log, producer, True)
        for number, (bytes_, events) in enumerate(there):
            rig.commits.pending.add(item(number, bytes_, events), Decision(), True)
        assert rig.commits.has_room(item(9, size, weight)) is fits, (there, size, weight)
    rejections = BrokerRejections()
    rejections.refused([0, 1, 2, 3])
    rig = Rig(log, producer, True, rejections)
    found = []
    for offset in range(3):
        found.append(rig.commits.has_room(item(offset)))
        rig.decide(offset)
    assert found == [True, True, False]


async def test_what_is_decided_rests_on_what_is_being_committed(log: Log, producer: Any) -> None:
    """While a commit is under way the next transaction sees its changes; then both are in the store."""
    rig = Rig(log, producer, True)
    log.gate.clear()
    async with running(rig):
        rig.decide(0, b"first")
        await rig.commits.moved()
        assert log.begun == 1 and rig.store.get(b"s") is None
        assert rig.commits.pending.overlay.get(b"s") == b"first"
        assert list(rig.commits.pending.overlay.scan(b"s")) == [(b"s", b"first")]
        rig.decide(1, b"second")
        assert rig.commits.pending.overlay.get(b"s") == b"second"
        log.gate.set()
        await rig.commits.flush()
    assert rig.store.get(b"s") == b"second"
    assert [[one.input.offset for one in transaction.items] for transaction in rig.done] == [[0], [1]]
    assert rig.position() == position.Position(2, 1001, "e", 7, False)
    assert rig.store.checkpoint() == Checkpoint("e", 4, 2, 1001, FORMAT)


async def test_answers_come_early_only_when_the_position_says_so(log: Log, producer: Any) -> None:
    """After the first commit of a log or of a clean position; and no longer after a clean one."""
    rig = Rig(log, producer, False)
    async with running(rig):
        rig.decide(0)
        assert (rig.commits.pending.immediate, len(rig.commits.pending.deferred)) == ([], 1)
        await rig.commits.flush()
        assert not rig.position().clean
        rig.decide(1)
        assert (rig.commits.pending.immediate, rig.commits.pending.deferred) == ([(TO, told(1))], [])
        await rig.commits.flush(clean=True)
        assert rig.position() == position.Position(2, 1001, "e", 7, True)
        rig.decide(2)
        assert (rig.commits.pending.immediate, len(rig.commits.pending.deferred)) == ([], 1)
        await rig.commits.flush()
        assert not rig.position().clean and rig.commits.immediate


async def test_a_clean_end_says_so_without_anything_new(log: Log, producer: Any) -> None:
    """One more transaction, and none when the position is clean already."""
    rig = Rig(log, producer, True)
    async with running(rig):
        rig.decide(0)
        await rig.commits.flush()
        await rig.commits.flush(clean=True)
        assert rig.position().clean and len(log.commits) == 2
        await rig.commits.flush(clean=True)
        await rig.commits.flush()
        assert len(log.commits) == 2


@pytest.mark.parametrize(
    ("decision", "safe"),
    [
        ({"reply": ConfiguredReply()}, True),
        ({"outgoing": (OutgoingRecord(None, b"k", b"v"),)}, True),
        ({"entries": b"x" * (SAFE_ENTRY + 1)}, False),
    ],
    ids=["configuration", "owes", "large"],
)
async def test_what_waits_for_its_commit(log: Log, producer: Any, decision: dict[str, Any], safe: bool) -> None:
    """Configuration, what is owed to others, and what Kafka might refuse; the last also holds up what comes after."""
    rig = Rig(log, producer, True)
    assert rig.decide(0, **decision) is safe
    assert (rig.commits.pending.immediate, len(rig.commits.pending.deferred)) == ([], 1)
    assert rig.decide(1, entries=b"x" * SAFE_ENTRY) and rig.commits.pending.immediate == [(TO, told(1))]


async def test_nobody_waiting_means_no_answer(log: Log, producer: Any) -> None:
    """A decision's answer is dropped where nobody waits for it, and else carries the number of its request."""
    rig = Rig(log, producer, True)
    for decision in (Decision(b"{}", reply=RefusedReply(400, "", "")), Decision(b"{}", reply=ConfiguredReply())):
        rig.commits.pending.add(item(0)._replace(to=None, request=-1), decision, True)
    assert (rig.commits.pending.immediate, rig.commits.pending.deferred) == ([], [])
    rig.commits.pending.add(item(5), Decision(b"{}", reply=RefusedReply(400, "", "")), True)
    assert rig.commits.pending.immediate == [(TO, RefusedReply(400, "", "", n=5))]


async def test_somebody_who_waits_is_not_kept_waiting(log: Log, producer: Any) -> None:
    """An answer that needs the commit makes it at once; the clock stands still here."""
    rig = Rig(log, producer, True)
    async with running(rig) as task:
        rig.decide(0, reply=ConfiguredReply())
        while not rig.done:
            assert not task.done()
            await asyncio.sleep(0)
    assert log.commits == [{"rev.entries": 1, "rev.state": 2}]


async def test_settled_appends_are_forgotten(log: Log, producer: Any) -> None:
    """What is no longer owed is deleted by the next transaction, even if nothing was decided."""
    rig = Rig(log, producer, True)
    rig.store.write({b"!outbox/1": b"x"}, (), Checkpoint("e", 0, 0, 0, FORMAT))
    rig.now = 0.0
    async with running(rig):
        rig.outbox.acknowledged.append(b"!outbox/1")
        rig.commits.ask()
        await rig.commits.moved()
        await rig.commits.flush()
    assert rig.store.get(b"!outbox/1") is None and rig.outbox.acknowledged == []


@pytest.mark.parametrize("error", [ProducerFenced(), MessageSizeTooLargeError()])
async def test_a_commit_that_fails_leaves_the_store_as_it_was(log: Log, producer: Any, error: Exception) -> None:
    """Whoever waits is told; what Kafka refused is noted for the next life."""
    rig = Rig(log, producer, True)
    async with running(rig) as task:
        for offset in range(4):
            rig.decide(offset)
        log.error = error
        with pytest.raises(Hung):
            await rig.commits.flush()
        with pytest.raises(type(error)):
            await task
        with pytest.raises(Hung):
            await rig.commits.moved()
    assert rig.store.get(b"s") is None and rig.done == []
    assert rig.rejections.max_records == (2 if isinstance(error, MessageSizeTooLargeError) else None)


async def test_deciding_again_leaves_out_a_half_decision(log: Log, producer: Any) -> None:
    """What a failed decision left in the transaction is gone, and what is being committed is still seen."""
    rig = Rig(log, producer, True)
    log.gate.clear()
    async with running(rig):
        rig.decide(0, b"first")
        await rig.commits.moved()
        rig.decide(1, b"second")
        rig.commits.pending.overlay.set(b"half", b"x")
        assert [one.input.offset for one in rig.commits.begin_again()] == [1]
        assert rig.commits.pending.overlay.get(b"half") is None
        assert rig.commits.pending.overlay.get(b"s") == b"first"
        log.gate.set()
        await rig.commits.flush()
    assert rig.store.get(b"s") == b"first" and rig.store.get(b"half") is None
