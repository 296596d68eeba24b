"""Cuts rows into batches, each of one customer. Pure: the same file and mapping always make the same
batches, whatever other options are given.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from schemas.limits import MAX_EVENTS
from tools.importer.cells import BadCell
from tools.importer.columns import CUSTOMER
from tools.importer.event_maker import EventMaker, Prepared
from tools.importer.row_keys import OwnIds, row_prefix
from tools.importer.sources import SourceRow

BATCH_BYTES = 1 << 20
"""Bytes at which a batch is cut: small enough to be quick, whatever its rows hold."""
ROW_BYTES = 256
"""Bytes that an event's key, names and punctuation add to the row's own bytes."""
OPEN_ROWS = 20_000
"""Maximum rows of batches that are not full yet, when each row of a file names its customer."""


class BadRow(NamedTuple):
    """Row that cannot be imported. ``key``: its key, '' if that would be an id from the file."""

    row: int
    line: int
    column: str
    reason: str
    key: str = ""


class Batch(msgspec.Struct, omit_defaults=True):
    """Rows that are sent together. ``repeated``: rows equal to an earlier one with the same id; ``lines``:
    lines of rows that take several, with the first such line."""

    number: int
    customer: str | None = None
    events: list[Prepared] = msgspec.field(default_factory=list)
    bad: list[BadRow] = msgspec.field(default_factory=list)
    repeated: list[tuple[int, int]] = msgspec.field(default_factory=list)
    blank: int = 0
    rows: int = 0
    size: int = 0
    long: list[int] = msgspec.field(default_factory=list)


class BatchOwner(NamedTuple):
    """Customer that rows are charged to. ``key``: the customer of the API key, None for a platform key;
    ``named``: --customer."""

    key: str | None = None
    named: str | None = None

    def of(self, row: str | None, used: Mapping[str, str]) -> str | None:
        """Return the customer that a request names for a row (None: the key's own). ``used``: columns by field.
        Raises BadCell."""
        only = self.key or self.named
        if row is None:
            if only is None:
                raise BadCell(used.get(CUSTOMER, CUSTOMER), "is empty: a platform key needs a customer")
        elif only is not None and row != only:
            whose = "the API key belongs to" if self.key else "--customer says"
            raise BadCell(used.get(CUSTOMER, CUSTOMER), f"is {row!r}, but {whose} {only!r}")
        return None if self.key else row or self.named


class BatchCutter:
    """Cutter of a file's rows into batches."""

    def __init__(self, events: EventMaker, whose: BatchOwner, sha256: str) -> None:
        self._events, self._whose = events, whose
        self._prefix = row_prefix(sha256)
        self._ids = OwnIds()
        self._open: dict[str | None, Batch] = {}
        self._number = 0

    def batches(self, rows: Iterator[SourceRow]) -> Iterator[Batch]:
        """Yield batches of at most 1000 rows and about 1 MiB each. Raises FileError, MappingError."""
        rest = self._new(None)  # rows without a customer: bad ones and blank ones
        waiting = 0
        for row in rows:
            batch = rest
            if row.lines > 1:
                rest.long.append(row.line)
            if row.blank and row.problem is None:
                rest.blank += 1
            else:
                try:
                    made = self._events.of(row)
                    customer = self._whose.of(made.customer, self._events.used)
                    made.customer = customer
                    batch = self._open.get(customer) or self._begin(customer)
                    waiting += self._add(batch, made)
                except BadCell as error:
                    rest.bad.append(
                        BadRow(row.number, row.line, error.column, error.reason, f"{self._prefix}{row.number}")
                    )
                    batch = rest
            batch.rows += 1
            batch.size += row.size + ROW_BYTES
            if batch.rows >= MAX_EVENTS or batch.size > BATCH_BYTES:
                waiting -= len(batch.events)
                yield batch
                if batch is rest:
                    rest = self._new(None)
                else:
                    del self._open[batch.customer]
            elif waiting > OPEN_ROWS:
                largest = max(self._open.values(), key=lambda open: open.rows)
                waiting -= len(largest.events)
                yield self._open.pop(largest.customer)
        yield from self._open.values()
        self._open.clear()
        if rest.rows:
            yield rest

    def _new(self, customer: str | None) -> Batch:
        self._number += 1
        return Batch(self._number, customer)

    def _begin(self, customer: str | None) -> Batch:
        batch = self._open[customer] = self._new(customer)
        return batch

    def _add(self, batch: Batch, made: Prepared) -> int:
        """Add the event and return 1 if it is new, 0 if it repeats an earlier row. Raises BadCell for an id
        that an earlier, different row has."""
        event = made.event
        if event.idempotency_key is None:
            event.idempotency_key = f"{self._prefix}{made.row}"
        else:
            content = hash((msgspec.json.encode(event), made.at))
            earlier = self._ids.earlier(batch.customer, event.idempotency_key, made.row, content)
            if earlier is not None:
                row, same = earlier
                if not same:
                    column = self._events.used.get("idempotency_key", "")
                    raise BadCell(
                        column, f"{event.idempotency_key[:60]!r} is also the id of row {row}, whose values differ"
                    )
                batch.repeated.append((made.row, row))
                return 0
        batch.events.append(made)
        return 1
