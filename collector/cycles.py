"""Closes the periods of customers that have their own: weeks, anchor days, time zones, thresholds.

Periods follow each other without a gap, whatever is set in between: each begins where the one before ended.
So an entry is on the first one that ends after it happened and was closed after it was accepted, as with months.
A change of settings may end the running period earlier, never later. Times are ms UTC and are passed in.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import structlog
from msgspec.structs import replace

from collector import metrics
from collector.book import Book, Change
from collector.invoicing import DEFAULT, Closed
from collector.settling import SETTLING, NotSettled
from schemas.billing import Billing
from schemas.billing_periods import CALENDAR, Schedule, local_month, period_end_after
from schemas.invoices import (
    ISSUER_KEY,
    Cycle,
    Invoice,
    Issuer,
    Period,
    PeriodState,
    account_key,
    cycle_key,
    invoice_key,
    note_key,
)
from schemas.money import PICO, parse_cents
from schemas.months import month_after, month_of, month_range
from schemas.objects import iso
from warehouse.invoice_sums import CustomerPeriod, InvoicingReads, PeriodSums

CHUNK = 50
"""Customers in one read and one transaction."""
CHECK = 60_000
"""ms between two looks whether a customer's threshold is passed, and before one that failed is tried again."""
log = structlog.get_logger("collector.cycles")


class Makes(NamedTuple):
    """What makes a customer's draft, and its final invoice and credit notes, of the sums of a period."""

    draft: Callable[[Period, str, PeriodSums, int], Invoice]
    close: Callable[[Issuer, Period, str, PeriodSums, int], Closed]


class _Due(NamedTuple):
    """What is due now, by customer: the cycle, and the time at which its period ends."""

    final: dict[str, int]
    draft: dict[str, int]
    check: dict[str, int]


def cycle_changes(book: Book, customer: str, billing: Billing, now: int) -> list[Change]:
    """Return the changes of a customer's running period for new settings. Pure.

    The running period ends at the next end of a period by the old settings or by the new ones, whichever is earlier. A
    period that has ended is left alone. Who never had settings of its own has months with everybody.
    """
    cycle = book.cycles.get(customer)
    if cycle is not None:
        if billing.schedule == book.billing.get(customer, DEFAULT).schedule:
            return []
        end = min(cycle.end, period_end_after(billing.schedule, max(now, cycle.start)))
        return [Change(cycle_key(customer), replace(cycle, end=end))] if end != cycle.end else []
    if billing.schedule == CALENDAR and not billing.threshold:
        return []
    changes = [] if book.issuer is not None else [Change(ISSUER_KEY, Issuer(month_of(now)))]
    month = month_of(now)
    while month in book.periods:  # the clock was set back: that month's invoices are made
        month = month_after(month)
    start, end = month_range(month)
    through = month_of(start - 1)
    end = min(end, period_end_after(billing.schedule, max(now, start)))
    return [*changes, Change(cycle_key(customer), Cycle(through, _name(billing.schedule, start, 1), start, end))]


class CycleCloser:
    """The steps of one owner. ``commit`` writes and applies changes in one transaction; see collector.closer.Closer."""

    def __init__(
        self,
        book: Book,
        reads: InvoicingReads,
        commit: Callable[[list[Change]], Awaitable[None]],
        grace: int,
        makes: Makes,
    ) -> None:
        self._book = book
        self._reads = reads
        self._commit = commit
        self._grace = grace
        self._makes = makes
        self._after: dict[str, int] = {}
        """By customer: before when its threshold is not looked at again, and what failed is not tried again."""

    async def step(self, now: int) -> bool:
        """Do what is due for some customers; return whether anything was. Raises NotSettled or ReadsUnavailable."""
        due = self._due(now)
        if due.final:
            await self._close(due.final, now)
        elif due.draft:
            await self._make_drafts(due.draft, now)
        elif due.check:
            await self._check(due.check, now)
        else:
            return False
        return True

    def _due(self, now: int) -> _Due:
        due = _Due({}, {}, {})
        cut = now - SETTLING
        closed_until = self._closed_until()
        for name, cycle in self._book.cycles.items():
            if closed_until < cycle.through or self._after.get(name, 0) > now:
                continue
            if now >= cycle.end + max(self._grace, SETTLING):
                due.final[name] = cycle.end
            elif cut >= cycle.end:
                if not cycle.drafted:
                    due.draft[name] = cycle.end
            elif cycle.start < cut and self._billing(name).threshold:
                due.check[name] = cut
        return due

    def _closed_until(self) -> str:
        """Return the last calendar month that is closed, or that is on no invoice; empty before invoicing has begun."""
        month = self._book.next_month()
        return "" if month is None else month_of(month_range(month).start - 1)

    async def _close(self, ends: dict[str, int], now: int) -> None:
        periods = self._periods(ends, now)
        sums = await self._sums(periods)
        await self._finish(periods, sums, now)

    async def _make_drafts(self, ends: dict[str, int], now: int) -> None:
        periods = self._periods(ends, now, "draft")
        sums = await self._sums(periods)
        changes: list[Change] = []
        for period, name in ((one.period, one.customer) for one in periods):
            if name in sums.lines:
                made = self._makes.draft(period, name, sums, now)
                changes.append(Change(invoice_key(period.month, name), made))
            changes.append(Change(cycle_key(name), replace(self._book.cycles[name], drafted=True)))
        await self._commit(changes)

    async def _check(self, ends: dict[str, int], now: int) -> None:
        """Close the periods whose invoice would be of more than the customer's threshold.

        A ledger that is behind is waited for in silence, since nothing is due yet.
        """
        periods = self._periods(ends, now)
        try:
            sums = await self._sums(periods)
        except NotSettled:
            self._after.update({one.customer: now + SETTLING for one in periods})
            return
        self._after.update({one.customer: now + CHECK for one in periods})
        passed = [one for one in periods if self._is_passed(one.customer, sums)]
        if passed:
            await self._finish(passed, sums, now)

    def _is_passed(self, name: str, sums: PeriodSums) -> bool:
        row, account = sums.lines.get(name), self._book.accounts.get(name)
        if row is None:
            return False
        carried = 0 if account is None else parse_cents(account.carried)
        due = parse_cents(row.cents) - parse_cents(row.credit) + carried
        return due > self._billing(name).threshold * PICO

    async def _finish(self, periods: Sequence[CustomerPeriod], sums: PeriodSums, now: int) -> None:
        """Write the invoices and credit notes of customers, and where their next periods begin."""
        issuer = self._book.issuer
        assert issuer is not None
        changes: list[Change] = []
        for period, name in ((one.period, one.customer) for one in periods):
            cycle = self._book.cycles[name]
            try:
                if name in sums.lines or name in sums.voided:
                    made = self._makes.close(issuer, period, name, sums, now)
                    issuer = made.issuer
                    changes += [Change(invoice_key(one.period.month, name), one) for one in made.invoices]
                    changes += [Change(note_key(one.number), one) for one in made.notes]
                    changes.append(Change(account_key(name), made.account))
                changes.append(Change(cycle_key(name), self._next(name, cycle, period)))
            except Exception as error:
                # one customer that fails stops no other
                metrics.FAILED.inc()
                self._after[name] = now + CHECK
                log.exception("invoice_failed", customer=name, period=period.month, error=repr(error))
        if changes:
            await self._commit([*changes, Change(ISSUER_KEY, issuer)])
            log.info("periods_closed", customers=len(periods))

    def _next(self, name: str, cycle: Cycle, period: Period) -> Cycle:
        """Return the period that follows one that is closed; one that a threshold has ended leaves the rest of it."""
        schedule = self._billing(name).schedule
        end = cycle.end if period.end < cycle.end else period_end_after(schedule, period.end)
        number = cycle.number + 1
        named = _name(schedule, period.end, number + 1)
        return Cycle(cycle.through, named, period.end, end, number, late_after=period.as_of)

    def _periods(self, ends: dict[str, int], now: int, state: PeriodState = "closed") -> list[CustomerPeriod]:
        """Return the periods of some of the customers."""
        found = []
        months = self._book.closed()
        assert self._book.issuer is not None
        first = months[0].first if months else month_range(self._book.issuer.first_month).start
        for name, end in sorted(ends.items())[:CHUNK]:
            cycle = self._book.cycles[name]
            closed = self._book.closed_of(name, cycle)
            late_after = cycle.late_after
            if late_after is None:
                late_after = closed[-1].as_of if closed else first
            zone = self._billing(name).schedule.time_zone
            as_of = max(now - SETTLING, end)
            period = Period(
                cycle.name, cycle.start, end, first=first, late_after=late_after, as_of=as_of, state=state, zone=zone
            )
            found.append(CustomerPeriod(name, period, closed))
        return found

    async def _sums(self, periods: Sequence[CustomerPeriod]) -> PeriodSums:
        as_of = max(one.period.as_of for one in periods)
        if not await self._reads.is_settled(as_of):
            raise NotSettled(f"the ledger does not hold everything until {iso(as_of)} yet")
        return await self._reads.cycle_sums(periods)

    def _billing(self, name: str) -> Billing:
        return self._book.billing.get(name, DEFAULT)


def _name(schedule: Schedule, start: int, number: int) -> str:
    """Return the name of a customer's period: unique, and by the month that it begins in."""
    return f"{local_month(schedule, start)}-{number:04d}"
