"""ledger.delivery_copier against a log and a table in memory: what cannot be a row stops nobody and is not lost."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ledger.blocks import LogRecord
from ledger.delivery_copier import DeliveryCopier, names
from ledger.errors import SourceStalled
from ledger.memory import MemoryDeliveryStore
from tests.unit.ledger.tape import Tape

GOOD, BAD = b'{"webhook_id":7,"delivery_id":"d-1"}', b'{"webhook_id":7,"bad":1}'


class Copy:
    """A writer of partition 2 with everything around it in memory. ``silences``: burials that fail."""

    def __init__(self, tape: Tape, store: MemoryDeliveryStore | None = None, silences: int = 0) -> None:
        self.tape = tape
        self.store = store or MemoryDeliveryStore(lambda line: b'"bad"' in line)
        self.buried: list[tuple[int, int, bytes]] = []
        self.silences = silences
        self.writer = DeliveryCopier(2, self.store, lambda: tape, self.dead_letter, flush=0, pause=0)

    async def dead_letter(self, partition: int, record: LogRecord, reason: str) -> None:
        if self.silences:
            self.silences -= 1
            raise SourceStalled("rev.dead: no broker")
        self.buried.append((partition, record.offset, record.value))

    async def to_the_end(self) -> None:
        """Until every record was written or buried."""
        task = asyncio.create_task(self.writer.run())
        async with asyncio.timeout(30):
            await self.tape.finished.wait()
        self.writer.stop()
        await task


@settings(max_examples=25, deadline=None)  # each waits once for an idle log
@given(st.lists(st.sampled_from([GOOD, BAD, b"no json", b""]), min_size=1, max_size=40))
def test_each_record_is_a_row_or_a_dead_letter(values: list[bytes]) -> None:
    """Whatever is refused, and wherever it stands: rows and dead letters together are the log, in order,
    each record once."""
    copy = Copy(Tape(values))
    asyncio.run(copy.to_the_end())
    assert copy.store.rows == [(2, n) for n, value in enumerate(values) if value == GOOD]
    assert copy.buried == [(2, n, value) for n, value in enumerate(values) if value != GOOD]


async def test_a_dead_letter_that_does_not_stand_is_tried_again() -> None:
    """Without the dead letter nothing after the record is written; with it the copy goes on."""
    copy = Copy(Tape([GOOD, BAD, GOOD]), silences=3)
    refused = REGISTRY.get_sample_value("rev_ledger_deliveries_refused_total") or 0
    await copy.to_the_end()
    assert (copy.silences, copy.buried, copy.store.rows) == (0, [(2, 1, BAD)], [(2, 0), (2, 2)])
    assert REGISTRY.get_sample_value("rev_ledger_deliveries_refused_total") == refused + 1


async def test_an_outage_behind_a_dead_letter_buries_it_once() -> None:
    """The table does not show what was buried; the writer knows it all the same."""
    copy = Copy(Tape([BAD, BAD, GOOD], fails_at=2))
    copy.store.outages = 1
    await copy.to_the_end()
    assert copy.buried == [(2, 0, BAD), (2, 1, BAD)]
    assert copy.store.rows == [(2, 2)]


async def test_what_there_is_no_memory_for_is_halved() -> None:
    """Smaller inserts until they fit; nothing is buried for it."""
    store = MemoryDeliveryStore()
    store.memory = 3
    copy = Copy(Tape([GOOD] * 40), store)
    await copy.to_the_end()
    assert store.rows == [(2, n) for n in range(40)]
    assert copy.buried == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"webhook_id":7,"delivery_id":"d","event_id":"evt_1","at":1}', 3),
        (b'{"webhook_id":7}', 1),
        (b"[1]", 0),
        (b"no json", 0),
    ],
)
def test_the_log_names_what_it_can(value: bytes, found: int) -> None:
    """Ids of whatever can be read, and never an error of its own."""
    assert len(names(value)) == found
