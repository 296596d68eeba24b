"""Interfaces of the log and the ledger that verify reads. No I/O here."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from tools.verify.price_model import PriceModel, TermsModel
from tools.verify.row_values import Row

KEYED = ("event", "registered", "charge", "waived", "config")
"""Kinds of rows whose keys are remembered."""
OUTCOMES = ("registered", "charge", "waived", "void")
"""Kinds of rows about outcomes, besides pending events."""


class CannotRun(Exception):
    """Error: log or ledger cannot be read; the message is for a person."""


class Span(NamedTuple):
    """Offsets that a partition holds: [first, end)."""

    first: int
    end: int


class RawRecord(NamedTuple):
    """One record of rev.raw; ``timestamp`` is its append time in ms."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


class Selection(NamedTuple):
    """Rows to compare: of one customer, accepted in [start, end) ms; None: no bound."""

    customer: str | None = None
    start: int | None = None
    end: int | None = None

    def holds(self, row: Row) -> bool:
        return (
            (self.customer is None or row["customer_id"] == self.customer)
            and (self.start is None or row["recorded_at"] >= self.start)
            and (self.end is None or row["recorded_at"] < self.end)
        )


class OldKey(NamedTuple):
    """Idempotency key that was charged before the log begins."""

    customer: str
    key: str
    at: int
    test: bool


class RawLog(Protocol):
    """Log, rev.raw."""

    async def spans(self) -> dict[int, Span]:
        """Return the offsets that each partition holds now."""
        ...

    def records(self, partition: int, span: Span) -> AsyncIterator[RawRecord]:
        """Return the records of a span in order."""
        ...


class PriceAsSet(NamedTuple):
    """What rows do not tell of their price: its start (ms; 0: at once) and its terms for a month."""

    start: int
    terms: TermsModel


class LedgerRows(Protocol):
    """Ledger, rev.entries in ClickHouse."""

    async def reached(self, partition: int) -> int:
        """Return the highest raw offset of any row of the partition; -1 if there is none."""
        ...

    async def beyond(self, partitions: int) -> list[Row]:
        """Return some rows (at most 1000) whose partition the log does not have."""
        ...

    def rows(self, partition: int, span: Span, selection: Selection, outcomes: bool = False) -> AsyncIterator[Row]:
        """Return rows whose raw offset is in the span, ordered by raw offset and index. ``outcomes``: only
        those that opened, closed or voided something (OUTCOMES)."""
        ...

    async def originals(self, voids: Sequence[Row]) -> dict[int, Row]:
        """Return the rows that the voids take back, by event id: rows of the same customers."""
        ...

    async def began(self, partition: int, first: int) -> int:
        """Return the latest accepted time (ms) of a row below a raw offset; 0 if there is none."""
        ...

    async def inherited(self, partition: int, first: int) -> list[PriceModel]:
        """Return the prices that rows from a raw offset on were priced with and that were set before it."""
        ...

    async def terms(self) -> dict[int, PriceAsSet]:
        """Return the starts and terms for a month of all prices that ever had any, by id."""
        ...

    async def limited(self, partition: int, first: int, types: Sequence[str]) -> list[str]:
        """Return the customers with a row below a raw offset whose config type is one of ``types``."""
        ...

    def old_keys(self, partition: int, first: int, since: int) -> AsyncIterator[OldKey]:
        """Return keys charged below a raw offset and accepted at or after ``since`` (ms)."""
        ...
