"""First pass over a file: its totals and what looks wrong. Sends nothing. Pure."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from schemas.labels import labels_of
from schemas.limits import DAY
from tools.importer.batches import BadRow, Batch
from tools.importer.event_maker import Prepared
from tools.importer.pricing import EventSums, PricedAlike, alike

FIRST_ROWS = 5
SAMPLE = 500
EPOCH_DAY = date(1970, 1, 1).toordinal()
EARLIEST = -EPOCH_DAY - 1


class Month(NamedTuple):
    """Rows of one month (``2026-04``, '' without a time): all, and those outside the server's window."""

    name: str
    rows: int
    outside: int


def _equal(one: Prepared, other: Prepared) -> bool:
    """True if two rows with the same time are equal in everything that an event has but its key."""
    a, b = one.event, other.event
    return (
        one.total == other.total
        and a.quantities == b.quantities
        and a.action == b.action
        and a.agent_id == b.agent_id
        and labels_of(a) == labels_of(b)
        and a.metadata == b.metadata
    )


class Survey:
    """Summary of a whole file. ``oldest`` and ``latest``: bounds of the times that the server accepts, UTC ms."""

    def __init__(self, oldest: int, latest: int) -> None:
        self.oldest, self.latest = oldest, latest
        self.rows = self.events = self.tokens = self.blank = self.repeated = self.no_tokens = self.bad = 0
        self.first: list[Prepared] = []
        self.sums: dict[tuple[str | None, PricedAlike], EventSums] = {}
        """Sums by customer and what the price depends on."""
        self._sums: dict[tuple[object, ...], EventSums] = {}
        """The same sums by the fields that decide which is an event's."""
        self.keys: list[str] = []
        """Sample of row keys from all over the file."""
        self.long: list[int] = []
        """First lines of rows that take several lines."""
        self.long_count = 0
        self._days: dict[int | None, list[int]] = {}
        self._times: dict[int | None, None] = {}
        self._before: Prepared | None = None
        self.equal = 0
        """Number of rows with a time that are equal to the row before them."""

    def read(self, batches: Iterator[Batch]) -> Iterator[BadRow]:
        """Read all batches; yield the bad rows as they come."""
        for batch in batches:
            self.rows += batch.rows
            self.blank += batch.blank
            self.repeated += len(batch.repeated)
            self.bad += len(batch.bad)
            self.long_count += len(batch.long)
            self.long += batch.long[: 1 - len(self.long)]
            yield from batch.bad
            if batch.events:
                self._events(batch)

    def _events(self, batch: Batch) -> None:
        events = batch.events
        self.events += len(events)
        self.first += events[: FIRST_ROWS - len(self.first)] if len(self.first) < FIRST_ROWS else []
        if len(self.keys) < 2 * SAMPLE:
            self.keys += [made.key for made in (events if not self.keys else events[:1])[:SAMPLE]]
        before = self._before
        for made in events:
            event, at = made.event, made.at
            total = made.total
            self.tokens += total
            no_in, no_out, others = event.tokens_input is None, event.tokens_output is None, event.quantities
            names = None if others is None else tuple(others)
            seen = batch.customer, event.action, event.outcome, event.model, event.provider, no_in, no_out, names
            sums = self._sums.get(seen)
            if sums is None:
                whose = batch.customer, alike(event)
                sums = self._sums[seen] = self.sums.setdefault(whose, EventSums())
            sums.add(made)
            if not total and event.tokens is None and no_in and no_out and others is None:
                self.no_tokens += 1
            self._note_time(at)
            if at is not None:
                self.equal += before is not None and before.at == at and _equal(before, made)
                before = made
        self._before = before

    def _note_time(self, at: int | None) -> None:
        if len(self._times) < 2:
            self._times[at] = None
        day = self._days.setdefault(None if at is None else at // DAY, [0, 0])
        day[0] += 1
        if at is not None and not self.oldest <= at <= self.latest:
            day[1] += 1

    @property
    def quantities(self) -> dict[str, int]:
        """Micro-units of each quantity besides input and output, by name."""
        found: dict[str, int] = {}
        for sums in self.sums.values():
            for name, micro in sums.quantities.items():
                found[name] = found.get(name, 0) + micro
        return found

    @property
    def one_time(self) -> bool:
        """True if there are several rows and all have the same time."""
        return self.events > 1 and len(self._times) == 1 and None not in self._times

    def months(self) -> list[Month]:
        """Return the months in order, rows without a time first."""
        found: dict[str, list[int]] = {}
        for day in sorted(self._days, key=lambda day: EARLIEST if day is None else day):
            name = "" if day is None else date.fromordinal(EPOCH_DAY + day).isoformat()[:7]
            month = found.setdefault(name, [0, 0])
            month[0] += self._days[day][0]
            month[1] += self._days[day][1]
        return [Month(name, rows, outside) for name, (rows, outside) in found.items()]

    @property
    def outside(self) -> int:
        """Number of rows whose time the server does not accept: they count from their accepted time."""
        return sum(outside for _, outside in self._days.values())
