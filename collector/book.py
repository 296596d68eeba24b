"""What rev.invoices holds, in memory. Pure: records are applied in their order, and nothing else changes it."""

from collections.abc import Iterable
from typing import NamedTuple

from schemas import invoices
from schemas.invoices import Account, CreditNote, Invoice, Issuer, Period
from schemas.months import month_after


class Change(NamedTuple):
    """A record to write."""

    key: bytes
    value: Issuer | Period | Account | Invoice | CreditNote


class Book:
    """The issuer, periods, accounts, invoices and credit notes."""

    def __init__(self) -> None:
        self.issuer: Issuer | None = None
        self.periods: dict[str, Period] = {}
        self.accounts: dict[str, Account] = {}
        self.invoices: dict[tuple[str, str], Invoice] = {}
        """By month and customer."""
        self.notes: dict[str, CreditNote] = {}
        self._months: dict[str, tuple[str, str]] = {}
        """By number: month and customer."""

    def load(self, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Apply encoded records. Raises KeyError or msgspec.DecodeError for one that cannot be read."""
        self.apply(Change(key, invoices.decode(key, value)) for key, value in records)

    def apply(self, changes: Iterable[Change]) -> None:
        """Apply changes that are committed."""
        for key, value in changes:
            if isinstance(value, Issuer):
                self.issuer = value
            elif isinstance(value, Period):
                self.periods[value.month] = value
            elif isinstance(value, Account):
                self.accounts[key.partition(b"/")[2].decode()] = value
            elif isinstance(value, CreditNote):
                self.notes[value.number] = value
            else:
                where = value.period.month, value.customer_id
                self.invoices[where] = value
                if value.number:
                    self._months[value.number] = where

    def numbered(self, number: str) -> Invoice | None:
        """Return a final invoice by its number."""
        where = self._months.get(number)
        return None if where is None else self.invoices[where]

    def closed(self) -> list[Period]:
        """Return the closed periods, the earliest first."""
        return sorted((one for one in self.periods.values() if one.state == "closed"), key=lambda one: one.month)

    def next_month(self) -> str | None:
        """Return the month to close next; None before invoicing has begun."""
        closed = self.closed()
        if closed:
            return month_after(closed[-1].month)
        return None if self.issuer is None else self.issuer.first_month
