"""Goes through the invoices that Stripe does not have as they are, and records how far each is.

An attempt is recorded before it begins, so that whoever goes on after a kill looks for what is there. What Stripe may
take later is tried again for ever; what it refuses waits for an administrator.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from msgspec.structs import replace

from collector import metrics
from collector.book import Book, Change
from collector.invoicing import Refused
from collector.stripe.calls import MAX_ERROR, StripeAway, StripeRefuses
from collector.stripe.items import Mismatch, items_of
from collector.stripe.pushing import Keep, StripeDocument
from collector.stripe.senders import Interrupted, Sender
from collector.stripe.stripe_customers import GivenIds, IdsUnknown
from schemas.invoices import Invoice, push_key, stripe_customer_key
from schemas.limits import HOUR
from schemas.pushes import Push, StripeCustomer
from warehouse.errors import ReadsUnavailable
from warehouse.invoice_sums import InvoicingReads
from warehouse.statements import TooManyLines, Unbalanced

TOGETHER, CHOSEN = 8, 200
"""Invoices in progress at a time, and those of one step, each of another customer."""
FIRST_DELAY, LAST_DELAY = 2_000, HOUR
"""ms until the second attempt; it doubles until the longest."""
log = structlog.get_logger("collector.stripe")


class Pusher:
    """The pushes of one owner. ``record`` commits changes and applies them to the book; ``now`` returns ms UTC.
    ``ids``: the customers of Stripe that administrators gave."""

    def __init__(
        self,
        sender: Sender,
        reads: InvoicingReads,
        record: Callable[[Sequence[Change]], Awaitable[None]],
        now: Callable[[], int],
        ids: GivenIds,
    ) -> None:
        self._sender = sender
        self._reads = reads
        self._record = record
        self._now = now
        self._ids = ids
        self._paused_until = 0
        self._waiting = ""

    async def step(self, book: Book) -> bool:
        """Bring some invoices there that are due now; return whether there were any."""
        now = self._now()
        metrics.UNSENT.set(len(book.unsent))
        if now < self._paused_until:
            return False
        chosen: dict[str, Invoice] = {}
        for number in sorted(book.unsent):
            invoice = book.numbered(number)
            push = book.push_of(number)
            if invoice is not None and (push is None or push.state == "sent" or push.due <= now):
                chosen.setdefault(invoice.customer_id, invoice)
                if len(chosen) == CHOSEN:
                    break
        if not chosen or not await self._knows_ids():
            return False
        slots = asyncio.Semaphore(TOGETHER)

        async def push_one(invoice: Invoice) -> None:
            async with slots:
                if self._now() >= self._paused_until:
                    await self._push(book, invoice)

        tasks = [asyncio.create_task(push_one(invoice)) for invoice in chosen.values()]
        try:
            await asyncio.gather(*tasks)
        finally:
            # once a record is not committed, only the next owner may go on
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        metrics.UNSENT.set(len(book.unsent))
        metrics.REFUSED.set(len(book.refused))
        return self._now() >= self._paused_until

    async def _knows_ids(self) -> bool:
        """Return whether all ids are known that administrators gave until now; an invoice may not go elsewhere."""
        try:
            await self._ids.catch_up()
        except IdsUnknown as error:
            if str(error) != self._waiting:
                log.warning("pushes_wait", error=str(error))
            self._waiting = str(error)
            return False
        self._waiting = ""
        return True

    async def _push(self, book: Book, invoice: Invoice) -> None:
        now = self._now()
        push = book.push_of(invoice.number) or _begun(book.pushes.get(invoice.number), invoice.number, now)
        attempts = 1 if push.state == "sent" and not push.error else push.attempts + 1
        # what Stripe has already is never begun again
        attempts = max(attempts, 2) if push.invoice else attempts
        push = replace(push, state="pending", attempts=attempts, due=now + delay(attempts))
        await self._record([Change(push_key(push.number), push)])
        known = book.stripe_customers.get(invoice.customer_id)
        try:
            document = await self._document(book, invoice, known)
            push, customer = await self._sender.send(document, push, self._keeper(invoice.customer_id))
        except Interrupted as error:
            (push, customer) = error.sent
            push = self._failed(push, error.cause, invoice)
        except Exception as error:  # one invoice that fails stops no other
            customer, push = None, self._failed(push, error, invoice)
        else:
            log.info("invoice_sent", invoice=push.number, customer=invoice.customer_id, status=push.status)
        changes = [Change(push_key(push.number), push)]
        if customer is not None and customer != book.stripe_customers.get(invoice.customer_id):
            changes.append(Change(stripe_customer_key(invoice.customer_id), customer))
        await self._record(changes)

    async def _document(self, book: Book, invoice: Invoice, known: StripeCustomer | None) -> StripeDocument:
        lines = await self._reads.lines(invoice)
        given = self._ids.get(invoice.customer_id)
        return StripeDocument(invoice, items_of(invoice, lines), book.notes_to_push(invoice), known, given)

    def _keeper(self, customer: str) -> Keep:
        async def keep(one: Push | StripeCustomer) -> None:
            key = push_key(one.number) if isinstance(one, Push) else stripe_customer_key(customer)
            await self._record([Change(key, one)])

        return keep

    def _failed(self, push: Push, error: Exception, invoice: Invoice) -> Push:
        """Return the push after an attempt that failed."""
        known = isinstance(error, (StripeAway, StripeRefuses, ReadsUnavailable, Mismatch, Unbalanced, OSError))
        words = (str(error) if known else repr(error))[:MAX_ERROR] or repr(error)
        if isinstance(error, TooManyLines):
            words = "the invoice has more lines than a statement can have; send it by hand"
        metrics.PUSH_FAILURES.inc()
        passes = not isinstance(error, (StripeRefuses, Mismatch, Unbalanced, TooManyLines))
        after, generation = 0, push.generation
        if isinstance(error, StripeAway):
            after = error.after
            generation += error.decided
            if after:
                self._paused_until = max(self._paused_until, self._now() + after)
        elif isinstance(error, StripeRefuses):
            generation += 1  # Stripe repeats a refusal, too, also when its reason is gone
        level = log.warning if passes else log.error
        if words != push.error:
            level("push_failed", invoice=push.number, customer=invoice.customer_id, error=words, tried_again=passes)
        due = max(push.due, self._now() + after)
        return replace(push, state="pending" if passes else "failed", due=due, generation=generation, error=words)


def _begun(written: Push | None, number: str, now: int) -> Push:
    """Return a push to begin with. Of an invoice that was ``written`` to a file, Stripe may have something from before:
    then it looks first."""
    if written is None:
        return Push(number, "pending", 0, now, now)
    return Push(number, "pending", 1, now, now, generation=written.generation)


def delay(attempts: int) -> int:
    """Return the ms from the beginning of an attempt to the next one.

    >>> delay(1), delay(2), delay(40)
    (2000, 4000, 3600000)
    """
    return min(FIRST_DELAY << min(attempts - 1, 30), LAST_DELAY)


def retried(push: Push | None, number: str, now: int) -> Push:
    """Return a push that is tried again at once. Raises Refused if there is nothing to try."""
    if push is None:
        raise Refused(f"invoice {number} is not on its way to Stripe: nothing was due of it, or REV_STRIPE is off")
    return replace(push, state="pending", due=now) if push.state != "sent" else push
