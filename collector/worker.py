"""The owner of rev.invoices: closes months when they are due, and changes invoices when it is asked to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from collector import metrics
from collector.book import Book, Change
from collector.closer import Closer
from collector.cycles import cycle_changes
from collector.invoice_log import InvoiceLog
from collector.invoicing import DEFAULT, Refused
from collector.notices import NoticeSender, notices_of
from collector.settling import NotSettled
from collector.stripe.meter_pusher import MeterPusher
from collector.stripe.pusher import Pusher
from collector.stripe.senders import Sender
from collector.stripe.stripe_customers import GivenIds
from schemas.billing import Billing
from schemas.billing_periods import is_time_zone
from schemas.invoices import Invoice, billing_key, invoice_key
from warehouse.errors import ReadsUnavailable
from warehouse.invoice_sums import InvoicingReads

TICK = 1.0
"""Seconds between checks of what is due."""
MeterPusherOf = Callable[[Callable[[Sequence[Change]], Awaitable[None]]], MeterPusher]
"""Makes what brings usage to Stripe, of what records changes."""
log = structlog.get_logger("collector.worker")


class NotOwner(Exception):
    """This process does not own rev.invoices now."""


class InvoiceWorker:
    """The streams.partition_workers.Worker of rev.invoices. ``now`` returns ms UTC; ``grace`` is in ms.
    ``ids``: customers of Stripe that were given. ``sender``: how invoices come to Stripe, ``meters``: how usage does;
    None: they do not. ``notice_sender``: how customers' webhooks hear of invoices; None: they do not."""

    def __init__(
        self,
        invoice_log: InvoiceLog,
        reads: InvoicingReads,
        grace: int,
        now: Callable[[], int],
        ids: GivenIds,
        sender: Sender | None = None,
        meters: MeterPusherOf | None = None,
        notice_sender: NoticeSender | None = None,
    ) -> None:
        self._ids = ids
        self._sender = sender
        self._meters = meters
        self._notice_sender = notice_sender
        self.partition = 0
        self._log = invoice_log
        self._reads = reads
        self._grace = grace
        self._now = now
        self._closer: Closer | None = None
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self._broken: BaseException | None = None
        self._waiting = ""

    @property
    def not_ready_reason(self) -> str | None:
        """Why it does not do all of its work now, or None."""
        return "rev.invoices is being read" if self._closer is None else None

    @property
    def book(self) -> Book:
        """What rev.invoices holds. Raises NotOwner."""
        if self._closer is None or self._broken is not None:
            raise NotOwner
        return self._closer.book

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    def pusher(self, sender: Sender) -> Pusher:
        """Return what brings invoices to Stripe."""
        return Pusher(sender, self._reads, self.record, self._now, self._ids)

    def _made_pusher(self) -> Pusher | MeterPusher | None:
        if self._meters is not None:
            return self._meters(self.record)
        return None if self._sender is None else self.pusher(self._sender)

    def _wake_up(self, task: object) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Run until stopped. Raises what a transaction raised: then only a new owner knows what stands."""
        beside: list[asyncio.Task[None]] = []
        try:
            book = Book(files_suffice=self._sender is None or self._sender.writes_files)
            book.load(await self._log.open())
            self._closer = Closer(book, self._reads, self._commit, self._grace)
            log.info("invoices_read", invoices=len(book.invoices), months=len(book.closed()))
            pusher = self._made_pusher()
            if pusher is not None:
                beside.append(asyncio.create_task(self._push(pusher), name="stripe"))
            if self._notice_sender is not None:
                beside.append(asyncio.create_task(self._notify(self._notice_sender), name="notices"))
            for task in beside:
                task.add_done_callback(self._wake_up)
            while not self._stopping:
                more = await self._step(self._closer)
                if self._broken is not None:
                    raise self._broken
                for task in beside:
                    if task.done() and (failure := task.exception()) is not None:
                        raise failure
                if not more:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(TICK):
                            await self._wake.wait()
        finally:
            self._closer = None
            for task in beside:
                task.cancel()
            if beside:
                await asyncio.wait(beside)
            await self._log.close()

    async def change(self, number: str, change: Callable[[Invoice], Invoice]) -> Invoice | None:
        """Change one invoice and return it; None if there is no such number. Raises Refused or NotOwner."""
        async with self._lock:
            invoice = self.book.numbered(number)
            if invoice is None:
                return None
            changed = change(invoice)
            if changed != invoice:
                changes = [Change(invoice_key(changed.period.month, changed.customer_id), changed)]
                await self._commit(changes)
                self.book.apply(changes)
            return changed

    async def record(self, changes: Sequence[Change]) -> None:
        """Commit changes that replace what only their writer changes. Raises NotOwner, or what the commit raised."""
        async with self._lock:
            book = self.book
            await self._commit(changes)
            book.apply(changes)

    async def set_billing(self, customer: str, billing: Billing) -> Billing:
        """Set how a customer is billed from its next invoice on. Raises Refused or NotOwner."""
        async with self._lock:
            book = self.book
            now = book.billing.get(customer, DEFAULT)
            if billing.currency != now.currency and customer in book.accounts:
                raise Refused(f"currency must be {now.currency}: the customer has invoices in it")
            if not is_time_zone(billing.schedule.time_zone):
                raise Refused("time_zone must be one that the collector's machine knows", 400, "invalid_request")
            if billing != now:
                periods = cycle_changes(book, customer, billing, self._now())
                changes = [Change(billing_key(customer), billing), *periods]
                await self._commit(changes)
                book.apply(changes)
            return billing

    async def _push(self, pusher: Pusher | MeterPusher) -> None:
        """Bring invoices or usage to Stripe, until this is no longer the owner."""
        while not self._stopping:
            try:
                more = await pusher.step(self.book)
            except NotOwner:
                return
            if not more:
                await asyncio.sleep(TICK)

    async def _notify(self, sender: NoticeSender) -> None:
        """Tell customers' webhooks of invoices, until this is no longer the owner."""
        while not self._stopping:
            try:
                more = await sender.step(self.book, self.record)
            except NotOwner:
                return
            if not more:
                await asyncio.sleep(TICK)

    async def run_month(self, month: str, dry_run: bool) -> list[Invoice]:
        """Close a month, or return its invoices as they would be.

        Raises Refused, NotSettled, ReadsUnavailable or NotOwner.
        """
        async with self._lock:
            closer = self._closer
            if closer is None or self._broken is not None:
                raise NotOwner
            return await (closer.preview if dry_run else closer.close)(month, self._now())

    async def _step(self, closer: Closer) -> bool:
        try:
            async with self._lock:
                more = await closer.step(self._now())
        except (NotSettled, ReadsUnavailable) as error:
            if str(error) != self._waiting:
                log.warning("month_waits", error=str(error))
            self._waiting = str(error)
            metrics.WAITING.set(1)
            return False
        self._waiting = ""
        metrics.WAITING.set(0)
        return more

    async def _commit(self, changes: Sequence[Change]) -> None:
        book = self.book
        noticed = notices_of(book, changes)
        try:
            await self._log.commit([*changes, *noticed], self._now())
            book.apply(noticed)
        except BaseException as error:
            self._broken = error
            self._wake.set()
            raise
