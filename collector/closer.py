"""Goes from month to month: drafts when a month has ended, final invoices and credit notes after the grace period.

Each step is derived from what rev.invoices holds, and a transaction holds whole customers. So a run that was cut off is
continued by the next one, and nobody is invoiced twice. Times are ms UTC and are passed in.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import structlog
from msgspec.structs import replace

from collector import invoicing, metrics
from collector.book import Book, Change
from collector.cycles import CycleCloser, Makes
from collector.invoicing import Credit, LineSum, Refused
from collector.settling import SETTLING, NotSettled
from schemas.billing import Billing
from schemas.invoices import (
    ISSUER_KEY,
    Account,
    Invoice,
    Issuer,
    Period,
    PeriodState,
    account_key,
    invoice_key,
    note_key,
    period_key,
)
from schemas.money import parse_cents
from schemas.months import month_of, month_range
from schemas.objects import iso
from warehouse.invoice_sums import InvoicingReads, PeriodSums

CHUNK = 200
"""Customers in one transaction."""
Commit = Callable[[Sequence[Change]], Awaitable[None]]
Made = TypeVar("Made")
log = structlog.get_logger("collector.closer")


class Closer:
    """The steps of one owner.

    ``commit`` writes changes in one transaction. It raises if it cannot know that they stand; then this object must not
    be used any more. ``grace``: ms from a month's end to its final invoices.
    """

    def __init__(self, book: Book, reads: InvoicingReads, commit: Commit, grace: int) -> None:
        self.book = book
        self._reads = reads
        self._commit_records = commit
        self._grace = grace
        self._cycles = CycleCloser(book, reads, self._commit, grace, Makes(self._drafted, self._closed))

    async def step(self, now: int) -> bool:
        """Do what is due now; return whether anything was. Raises NotSettled or ReadsUnavailable: try again later."""
        waiting = None
        try:
            more = await self._step_month(now)
        except NotSettled as error:  # customers with periods of their own do not wait for a month of the others
            waiting, more = error, False
        more = await self._cycles.step(now) or more
        if waiting is not None:
            raise waiting
        return more

    async def _step_month(self, now: int) -> bool:
        month = self.book.next_month()
        if month is None:
            await self._commit([Change(ISSUER_KEY, Issuer(month_of(now)))])
            return True
        end = month_range(month).end
        if now >= end + max(self._grace, SETTLING):
            await self.close(month, now)
            return True
        if now >= end + SETTLING and month not in self.book.periods:
            await self._make_drafts(month, now)
            return True
        return False

    async def close(self, month: str, now: int) -> list[Invoice]:
        """Make the final invoices and credit notes of a month, and return its invoices. A closed month is left alone.

        Raises Refused for a month that is not to be closed now, NotSettled or ReadsUnavailable.
        """
        self._check(month, now)
        if not self._is_closed(month):
            period = self._period(month, now, "closing")
            sums = await self._sums(period)
            if self.book.periods.get(month) != period:
                await self._commit([*self._first(month), Change(period_key(month), period)])
            for changes in self._closing(period, sums, now):
                await self._commit(changes)
            left = [name for name in _customers(sums) if not self._is_done(name, month)]
            if left:
                log.error("customers_not_invoiced", month=month, customers=left[:20], count=len(left))
                raise NotSettled(f"{len(left)} customers could not be invoiced for {month}; the log names them")
            await self._commit([Change(period_key(month), replace(period, state="closed"))])
            log.info("month_closed", month=month, as_of=iso(period.as_of), customers=len(sums.lines))
        return [one for (of, _), one in sorted(self.book.invoices.items()) if of == month]

    async def preview(self, month: str, now: int) -> list[Invoice]:
        """Return the invoices of a month as they would be now, and change nothing. Raises as :meth:`close` does."""
        self._check(month, now)
        if self._is_closed(month):
            return await self.close(month, now)
        period = self._period(month, now, "draft")
        sums = await self._sums(period)
        return [self._drafted(period, name, sums, now) for name in sorted(sums.lines)]

    def _check(self, month: str, now: int) -> None:
        due = month_range(month).end + max(self._grace, SETTLING)
        if now < due:
            raise Refused(f"month {month} is not closed yet; its invoices are made from {iso(due)} on")
        following = self.book.next_month()
        begun = bool(self.book.periods) or any(cycle.number for cycle in self.book.cycles.values())
        if self._is_closed(month) or following is None or month == following:
            return
        if begun or month > following:
            raise Refused(f"month must be {following}, the first one that is not closed, not {month}")

    def _is_closed(self, month: str) -> bool:
        period = self.book.periods.get(month)
        return period is not None and period.state == "closed"

    def _first(self, month: str) -> list[Change]:
        """Return the change that begins invoicing with an earlier month, if that is what is asked for."""
        issuer = self.book.issuer
        if issuer is not None and issuer.first_month <= month:
            return []
        return [Change(ISSUER_KEY, Issuer(month))]

    def _period(self, month: str, now: int, state: PeriodState) -> Period:
        found = self.book.periods.get(month)
        if found is not None and found.state == "closing":
            return found
        start, end = month_range(month)
        closed = self.book.closed()
        first = closed[0].first if closed else start
        return Period(
            month,
            start,
            end,
            first=first,
            late_after=closed[-1].as_of if closed else first,
            as_of=max(now - SETTLING, end),
            state=state,
        )

    async def _sums(self, period: Period) -> PeriodSums:
        if not await self._reads.is_settled(period.as_of):
            raise NotSettled(f"the ledger does not hold everything until {iso(period.as_of)} yet")
        sums = await self._reads.sums(period, self.book.closed())
        own = [name for name, cycle in self.book.cycles.items() if cycle.through < period.month]
        for name in own:
            sums.lines.pop(name, None)
            sums.voided.pop(name, None)
        return sums

    async def _make_drafts(self, month: str, now: int) -> None:
        period = self._period(month, now, "draft")
        sums = await self._sums(period)
        names = sorted(sums.lines)
        drafted = 0
        for begin in range(0, len(names), CHUNK):
            tried = [
                self._tried(name, month, partial(self._drafted, period, name, sums, now))
                for name in names[begin : begin + CHUNK]
            ]
            made = [Change(invoice_key(month, one.customer_id), one) for one in tried if one is not None]
            if made:
                await self._commit(made)
            drafted += len(made)
        await self._commit([Change(period_key(month), period)])
        log.info("month_drafted", month=month, customers=drafted, failed=len(names) - drafted)

    def _drafted(self, period: Period, name: str, sums: PeriodSums, now: int) -> Invoice:
        return invoicing.drafted(self._account(name), period, name, _line_sum(sums, name), now, self._billing(name))

    def _closing(self, period: Period, sums: PeriodSums, now: int) -> Iterator[list[Change]]:
        """Yield the changes of some customers at a time, in the order of their ids."""
        names = [name for name in _customers(sums) if not self._is_done(name, period.month)]
        for begin in range(0, len(names), CHUNK):
            issuer = self.book.issuer
            assert issuer is not None
            changes: list[Change] = []
            for name in names[begin : begin + CHUNK]:
                closed = self._tried(name, period.month, partial(self._closed, issuer, period, name, sums, now))
                if closed is None:
                    continue  # the month stays open until all are invoiced
                issuer = closed.issuer
                changes += [Change(invoice_key(one.period.month, name), one) for one in closed.invoices]
                changes += [Change(note_key(one.number), one) for one in closed.notes]
                changes.append(Change(account_key(name), closed.account))
            if changes:
                yield [*changes, Change(ISSUER_KEY, issuer)]

    def _tried(self, name: str, month: str, make: Callable[[], Made]) -> Made | None:
        """Return what is made, or None if making it fails: one customer that fails stops no other, and is told."""
        try:
            return make()
        except Exception as error:
            metrics.FAILED.inc()
            log.exception("invoice_failed", customer=name, month=month, error=repr(error))
            return None

    def _closed(self, issuer: Issuer, period: Period, name: str, sums: PeriodSums, now: int) -> invoicing.Closed:
        voided = sums.voided.get(name, {})
        credits = [
            Credit(self.book.invoices[month, name], row.entries, parse_cents(row.credit) - parse_cents(row.cents))
            for month, row in voided.items()
        ]
        lines = _line_sum(sums, name) if name in sums.lines else None
        return invoicing.close(
            issuer,
            self._account(name),
            period,
            customer=name,
            sums=lines,
            credits=credits,
            now=now,
            billing=self._billing(name),
        )

    def _account(self, name: str) -> Account:
        return self.book.accounts.get(name, Account("", "0"))

    def _billing(self, name: str) -> Billing:
        return self.book.billing.get(name, invoicing.DEFAULT)

    def _is_done(self, name: str, month: str) -> bool:
        return self._account(name).through >= month

    async def _commit(self, changes: list[Change]) -> None:
        await self._commit_records(changes)
        self.book.apply(changes)


def _customers(sums: PeriodSums) -> list[str]:
    return sorted({*sums.lines, *sums.voided})


def _line_sum(sums: PeriodSums, name: str) -> LineSum:
    row = sums.lines[name]
    return LineSum(row.entries, parse_cents(row.cents), parse_cents(row.credit))
