"""Customers' webhooks hear of each invoice and credit note once, whenever the collector is killed."""

from collections import Counter
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import closer as closing
from collector import notices
from collector.book import Book
from collector.invoicing import paid
from collector.notices import NoticeSender
from collector.worker import InvoiceWorker
from notifier.events import DomainEvent, domain_events
from pricer.memory import MemoryShard
from schemas import entries
from schemas.invoice_objects import invoice_shown, note_shown
from schemas.limits import HOUR
from streams.appends import Appended
from streams.errors import AppendUnknown, NotRecorded
from tests.unit.collector.memory_invoicing import Ids, Journal, Killed, MemoryInvoicing
from tests.unit.collector.test_closer import SEEDS, TIMES
from tests.unit.statements.random_ledger import made

PARTITIONS = 4
FAULTS = ("killed before", "killed after", "refused", "unknown", "")


class Shards:
    """rev.raw and the pricers behind it. ``faults``: what happens to each append to come."""

    def __init__(self, faults: Iterable[str] = ()) -> None:
        self.log = MemoryShard(PARTITIONS)
        self._faults = iter(faults)

    async def append(
        self, key: bytes, value: bytes, headers: tuple[tuple[str, bytes], ...] = (), partition: int | None = None
    ) -> Appended:
        fault = next(self._faults, "")
        if fault == "killed before":
            raise Killed
        if fault == "refused":
            raise NotRecorded("")
        assert partition is not None
        self.log.append_value(partition, key, value)
        if fault == "killed after":
            raise Killed
        if fault == "unknown":
            raise AppendUnknown("")
        return Appended(partition, 0, 0)

    def events(self) -> list[DomainEvent]:
        """What endpoints can hear of."""
        return [
            event
            for partition, records in enumerate(self.log.entries)
            for record in records
            for event in domain_events(partition, record.offset, entries.decode(record.value))
        ]


class Collector:
    """A collector that is started anew after each death, with its journal and the shards."""

    def __init__(self, journal: Journal, shards: Shards, reads: MemoryInvoicing) -> None:
        self.journal, self.shards, self.reads = journal, shards, reads
        self.sender = NoticeSender(shards, PARTITIONS)
        self.now = 0
        self.begin()

    def begin(self) -> None:
        self.worker = InvoiceWorker(self.journal, self.reads, HOUR, lambda: self.now, Ids())  # type: ignore[arg-type]
        owner = self.journal.closer(self.reads, HOUR)
        owner._commit_records = self.worker._commit
        self.worker._closer = owner

    async def run(self, now: int) -> Book:
        """Do everything that is due."""
        self.now = now
        while True:
            try:
                assert self.worker._closer is not None
                more = await self.worker._closer.step(now)
                sent = await self.sender.step(self.worker.book, self.worker.record)
                if not more and not sent and not self.worker.book.notices:
                    return self.worker.book
            except Killed:
                self.begin()

    async def pay(self, number: str) -> None:
        """Pay what is due, until it is recorded."""
        invoice = self.worker.book.numbered(number)
        assert invoice is not None
        due = invoice.balance
        while True:
            try:
                await self.worker.change(number, lambda one: paid(one, "wire", due, self.now))
                return
            except Killed:
                self.begin()


def facts(book: Book) -> Counter[tuple[str, str, str]]:
    """What has become of invoices in all: type, customer, number or month."""
    found: Counter[tuple[str, str, str]] = Counter()
    for one in book.invoices.values():
        found["invoice.created", one.customer_id, one.period.calendar_month] += 1
        if one.number:
            found["invoice.finalized", one.customer_id, one.number] += 1
        if one.state == "paid":
            found["invoice.paid", one.customer_id, one.number] += 1
    for note in book.notes.values():
        found["credit_note.created", note.customer_id, note.number] += 1
    return found


def heard(events: Iterable[DomainEvent]) -> Counter[tuple[str, str, str]]:
    """What the customers' endpoints hear: the same, from what is sent."""
    found: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        data = msgspec.json.decode(event.body())["data"]
        assert event.owner == data["customer_id"] and event.test is False and event.only is None
        found[event.type, data["customer_id"], data["month" if event.type == "invoice.created" else "number"]] += 1
    return found


@settings(deadline=None, max_examples=40)
@given(
    SEEDS,
    st.lists(st.sampled_from(["before", "after", "", ""]), max_size=30),
    st.lists(st.sampled_from(FAULTS), max_size=60),
)
async def test_each_fact_is_told_once(seed: int, deaths: list[str], faults: list[str]) -> None:
    """Also when it dies at any commit or append, and when an append is lost, refused or recorded without an answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "CHUNK", 1)
        patch.setattr(notices, "BATCH", 3)
        collector = Collector(Journal(deaths), Shards(faults), MemoryInvoicing(made(seed, 60)))
        for now in TIMES:
            book = await collector.run(now)
            for number in [one.number for one in book.invoices.values() if one.state == "final"][:1]:
                await collector.pay(number)
        book = await collector.run(TIMES[-1])
    events = collector.shards.events()
    assert heard(events) == facts(book) and facts(book)
    assert len({event.id for event in events}) == len(events)
    assert not [key for key in collector.journal.held if key.startswith(b"notice/")]


async def test_what_is_told_is_the_invoice_as_it_was() -> None:
    """An invoice that was paid since is told as it was when it became final."""
    collector = Collector(Journal(), Shards(), MemoryInvoicing(made(1)))
    for now in TIMES[:2]:
        await collector.run(now)
    collector.now = TIMES[2]
    assert collector.worker._closer is not None
    while await collector.worker._closer.step(TIMES[2]):
        pass
    one = next(one for one in collector.worker.book.invoices.values() if one.state == "final")
    await collector.pay(one.number)
    collector.begin()  # it was killed before anything was sent
    await collector.run(TIMES[2])
    sent = {
        event.type: msgspec.json.decode(event.body())["data"]
        for event in collector.shards.events()
        if b'"%s"' % one.number.encode() in event.body()
    }
    later = collector.worker.book.numbered(one.number)
    assert later is not None and later.state == "paid"
    as_json = msgspec.json.encode
    assert sent["invoice.finalized"] == msgspec.json.decode(as_json(invoice_shown(one)))
    assert sent["invoice.paid"] == msgspec.json.decode(as_json(invoice_shown(later)))
    book = await collector.run(TIMES[-1])
    note = next(iter(book.notes.values()))
    bodies = [event.body() for event in collector.shards.events() if event.type == "credit_note.created"]
    assert any(body.endswith(b'"data":' + as_json(note_shown(note)) + b"}") for body in bodies)


async def test_a_shard_that_cannot_be_reached_stops_no_other_and_keeps_its_order() -> None:
    """After one that did not arrive, no later one is sent to the same shard."""
    collector = Collector(Journal(), Shards(), MemoryInvoicing(made(1)))
    collector.now = TIMES[1]
    assert collector.worker._closer is not None
    for now in TIMES[:3]:
        while await collector.worker._closer.step(now):
            pass
    book = collector.worker.book
    away = next(iter(book.notices.values())).customer_id
    others = [number for number, one in book.notices.items() if one.customer_id != away]

    class OneAway(Shards):
        tried = 0

        async def append(self, key: bytes, value: bytes, *rest: object, **more: object) -> Appended:
            if key == away.encode():
                self.tried += 1
                raise NotRecorded("")
            return await super().append(key, value, *rest, **more)  # type: ignore[arg-type]

    shards = OneAway()
    assert others and await NoticeSender(shards, PARTITIONS).step(book, collector.worker.record)
    assert shards.tried == 1 and {one.customer_id for one in book.notices.values()} == {away}
    assert len(shards.events()) == len(others)
    await collector.run(TIMES[2])
    assert heard([*shards.events(), *collector.shards.events()]) == facts(collector.worker.book)


async def test_records_from_before_notices_are_read() -> None:
    """What an older collector wrote has none, so nothing old is told anew."""
    journal, reads = Journal(), MemoryInvoicing(made(1))
    owner = journal.closer(reads, HOUR)
    for now in TIMES[:4]:
        while await owner.step(now):
            pass
    collector = Collector(journal, Shards(), reads)
    before = facts(collector.worker.book)
    book = await collector.run(TIMES[-1])
    assert heard(collector.shards.events()) == facts(book) - before
