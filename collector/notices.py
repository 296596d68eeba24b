"""Tells customers' webhooks what became of their invoices: each fact becomes one entry in the customer's shard.

A notice is a record of rev.invoices in the transaction of what it tells: none is lost, and none tells of what does not
stand. It is sent until it is appended, and only then deleted. Whatever is sent twice has the same number, and the shard
takes only numbers that are higher than its last one; so a shard must get its notices in order, one after the other.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice

import msgspec
import structlog

from collector import metrics
from collector.book import Book, Change
from schemas import commands
from schemas.commands import InvoiceNotice
from schemas.invoice_objects import invoice_shown, note_shown
from schemas.invoices import NOTICES_KEY, CreditNote, Invoice, Notice, NoticeCounter, notice_key
from schemas.topics import partition_of
from streams.errors import AppendUnknown, NotRecorded
from streams.outbox import InputAppender

BATCH = 500
"""Notices that are sent before they are deleted in one transaction."""
Record = Callable[[Sequence[Change]], Awaitable[None]]
_encode = msgspec.json.Encoder().encode
log = structlog.get_logger("collector.notices")


def notices_of(book: Book, changes: Sequence[Change]) -> list[Change]:
    """Return the records that tell of changes; ``book`` is as it was before them. Pure."""
    found = [notice for change in changes for notice in _noticed(book, change)]
    if not found:
        return []
    numbered = enumerate(found, book.last_notice + 1)
    made = [Change(notice_key(number), notice) for number, notice in numbered]
    return [*made, Change(NOTICES_KEY, NoticeCounter(book.last_notice + len(found)))]


def command_of(number: int, notice: Notice) -> InvoiceNotice:
    """Return what the customer's shard is sent. Pure."""
    shown = None if notice.note is None else note_shown(notice.note)
    detail = _encode(shown if notice.invoice is None else invoice_shown(notice.invoice))
    return InvoiceNotice(notice.customer_id, number, notice.type, msgspec.Raw(detail))


class NoticeSender:
    """Sends notices to the shards. ``partitions``: the number of shards."""

    def __init__(self, appender: InputAppender, partitions: int) -> None:
        self._appender = appender
        self._partitions = partitions

    async def step(self, book: Book, record: Record) -> bool:
        """Send the oldest notices and ``record`` that they are; return whether any was sent."""
        lines: dict[int, list[int]] = defaultdict(list)
        for number in islice(book.notices, BATCH):
            lines[partition_of(book.notices[number].customer_id.encode(), self._partitions)].append(number)
        sent = await asyncio.gather(*(self._send(book, partition, line) for partition, line in lines.items()))
        done = [number for line in sent for number in line]
        if done:
            await record([Change(notice_key(number), None) for number in done])
        metrics.NOTICES.set(len(book.notices))
        return bool(done)

    async def _send(self, book: Book, partition: int, numbers: Sequence[int]) -> list[int]:
        """Send a shard's notices in order, until one may not have arrived; return those that have."""
        done: list[int] = []
        for number in numbers:
            command = command_of(number, book.notices[number])
            key, value = command.customer_id.encode(), commands.encode(command)
            try:
                await self._appender.append(key, value, partition=partition)
            except (NotRecorded, AppendUnknown) as error:
                log.warning("notice_not_sent", number=number, customer=command.customer_id, error=repr(error))
                break
            done.append(number)
        return done


def _noticed(book: Book, change: Change) -> Iterator[Notice]:
    """Yield the notices of one change."""
    value = change.value
    if isinstance(value, CreditNote) and value.number not in book.notes:
        yield Notice("credit_note.created", note=value)
    if not isinstance(value, Invoice):
        return
    before = book.invoices.get((value.period.month, value.customer_id))
    if before is None:
        yield Notice("invoice.created", invoice=value)
    if value.number and (before is None or not before.number):
        yield Notice("invoice.finalized", invoice=value)
    if value.state == "paid" and (before is None or before.state != "paid"):
        yield Notice("invoice.paid", invoice=value)
