"""The collector's reads over ledger rows in memory, in plain Python, and a journal that can fail at any commit."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from collector.book import Book, Change
from collector.closer import Closer
from schemas import invoices
from schemas.invoices import Invoice, Period
from schemas.limits import HOUR
from schemas.meters import COUNTS, MeterRule
from schemas.money import format_cents
from warehouse.invoice_sums import (
    CustomerPeriod,
    InvoiceSumRow,
    PeriodSums,
    cycle_period_sums,
    invoice_query,
    period_sums,
)
from warehouse.ledger_row import LedgerRow
from warehouse.memory_statements import scope, statement_rows
from warehouse.meter_totals import MeterRow
from warehouse.statement_rows import StatementLineRow, StatementQuery
from warehouse.statements import statement
from warehouse.time_range import LAST, TimeRange


class MemoryInvoicing:
    """:class:`warehouse.invoice_sums.InvoicingReads` over ``rows``."""

    def __init__(self, rows: Sequence[LedgerRow]) -> None:
        self.rows = rows
        self.settled_until = LAST

    async def sums(self, period: Period, closed: Sequence[Period]) -> PeriodSums:
        return period_sums(sum_rows(self.rows, period, closed), closed)

    async def cycle_sums(self, periods: Sequence[CustomerPeriod]) -> PeriodSums:
        return cycle_period_sums(cycle_rows(self.rows, periods), periods)

    async def is_settled(self, as_of: int) -> bool:
        return as_of <= self.settled_until

    async def lines(self, invoice: Invoice) -> list[StatementLineRow]:
        query = invoice_query(invoice)
        return statement(query, statement_rows(self.rows, query)).lines

    async def meter_totals(
        self, rules: Sequence[MeterRule], since: int, as_of: int, start: int, end: int
    ) -> list[MeterRow]:
        """What sql/queries/meter_totals.sql returns."""
        used = [
            row
            for row in self.rows
            if not row.test
            and (row.kind == "event" or (row.kind == "void" and row.config_type != "charge"))
            and row.recorded_at <= as_of
            and start <= row.event_time < end
        ]
        changed = {(row.customer_id, row.event_time // HOUR) for row in used if row.recorded_at > since}
        units: dict[tuple[str, int, int], list[Decimal]] = {}
        for row in used:
            for number, rule in enumerate(rules):
                if (row.customer_id, row.event_time // HOUR) in changed and rule.action in ("", row.action):
                    both = units.setdefault((row.customer_id, row.event_time // HOUR * HOUR, number), [Decimal()] * 2)
                    amount = metered(row, rule.metric) * (-1 if row.kind == "void" else 1)
                    both[0] += amount if row.recorded_at <= since else 0
                    both[1] += amount
        return [MeterRow(*place, str(before), str(after)) for place, (before, after) in sorted(units.items())]

    async def close(self) -> None: ...


def metered(row: LedgerRow, metric: str) -> Decimal:
    if metric == "events":
        return Decimal(1)
    if metric in COUNTS:
        return Decimal(getattr(row, metric) or 0)
    return Decimal(row.quantities.get(metric, 0))


def sum_rows(rows: Sequence[LedgerRow], period: Period, closed: Sequence[Period]) -> list[InvoiceSumRow]:
    """What sql/queries/invoice_sums.sql returns."""
    costly = [row for row in rows if row.total_cents and not row.test]
    found = []
    for customer in sorted({row.customer_id for row in costly}):
        groups = {0: of_invoice(costly, period, customer)}
        for row in costly:
            if row.kind == "void" and row.customer_id == customer and is_late(row, period):
                number = invoiced_in(costly, row.original, closed)
                if number:
                    groups.setdefault(number, []).append(row)
        found += [
            InvoiceSumRow(
                customer,
                number,
                len(some),
                format_cents(sum(row.total_cents for row in some)),
                format_cents(sum(row.credit_cents or 0 for row in some)),
            )
            for number, some in sorted(groups.items())
            if some
        ]
    return found


def cycle_rows(rows: Sequence[LedgerRow], periods: Sequence[CustomerPeriod]) -> list[InvoiceSumRow]:
    """What sql/queries/period_sums.sql returns."""
    return [
        row
        for one in periods
        for row in sum_rows([row for row in rows if row.customer_id == one.customer], one.period, one.closed)
    ]


def of_invoice(rows: Sequence[LedgerRow], period: Period, customer: str) -> list[LedgerRow]:
    """The entries that a customer's invoice is of."""
    time = TimeRange(period.start, period.end)
    return scope(rows, StatementQuery(customer, False, time, period.as_of, period.late_after, period.first))


def is_late(row: LedgerRow, period: Period) -> bool:
    return row.event_time < period.start and period.late_after < row.recorded_at <= period.as_of


def invoiced_in(rows: Iterable[LedgerRow], event_id: int | None, closed: Sequence[Period]) -> int:
    """The number of the first closed period that holds an entry; 0 if none does."""
    for row in rows:
        if row.event_id == event_id:
            for number, one in enumerate(closed, 1):
                before = row.event_time < one.first and row.recorded_at <= one.first
                if not before and row.event_time < one.end and row.recorded_at <= one.as_of:
                    return number
    return 0


class Ids(dict[str, str]):
    """The customers of Stripe that administrators gave, by customer."""

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name, default)

    async def catch_up(self) -> None: ...


class Killed(Exception):
    """The process is gone."""


class Journal:
    """rev.invoices in memory: committed records by key. ``deaths``: for each commit to come, when it dies."""

    def __init__(self, deaths: Iterable[str] = ()) -> None:
        self.held: dict[bytes, bytes] = {}
        self.commits = 0
        self._deaths = iter(deaths)

    async def commit(self, changes: Sequence[Change], now: int = 0) -> None:
        death = next(self._deaths, "")
        if death == "before":
            raise Killed
        for key, value in changes:
            if value is None:
                self.held.pop(key, None)
            else:
                self.held[key] = invoices.encode(value)
        self.commits += 1
        if death == "after":
            raise Killed

    def closer(self, reads: MemoryInvoicing, grace: int) -> Closer:
        """A new owner, with what is committed."""
        book = Book()
        book.load(self.held.items())
        return Closer(book, reads, self.commit, grace)
