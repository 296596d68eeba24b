"""Counts an import's results so far: rows, exact money, bad rows. Pure."""

from collections.abc import Callable

from schemas.money import dollars_exact, format_cents, parse_cents
from tools.importer.cells import BadCell

KEPT = 4096


class Tally:
    """Counts of rows and money. ``say`` gets a line for each bad row."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.imported = self.already = self.bad = self.blank = self.repeated = 0
        self.voided = 0
        """Number of rows recorded before that are voided."""
        self.pico = 0
        """Amount charged by this import, in pico-cents."""
        self._amounts: dict[bytes, int] = {}

    def note_bad(self, row: int, line: int, problem: BadCell) -> None:
        self.bad += 1
        column = f", column {problem.column}" if problem.column else ""
        where = f"line {line} (row {row})" if line else f"row {row}"
        self._say(f"{where}{column}: {problem.reason}")

    def note_imported(self, total_cents: bytes) -> None:
        """Count one charged event; ``total_cents`` is the number as written in the response."""
        self.imported += 1
        pico = self._amounts.get(total_cents)
        if pico is None:
            if len(self._amounts) >= KEPT:
                self._amounts.clear()
            pico = self._amounts[total_cents] = parse_cents(total_cents.decode())
        self.pico += pico

    def note_already(self, count: int) -> None:
        """Count ``count`` events that were charged before this import."""
        self.already += count

    @property
    def rows(self) -> int:
        return self.imported + self.already + self.bad + self.blank + self.repeated

    @property
    def cents(self) -> str:
        return format_cents(self.pico)

    @property
    def dollars(self) -> str:
        """Exact dollars, at least two decimals."""
        return dollars(self.pico)


def dollars(pico: int) -> str:
    """Return pico-cents as exact dollars, at least two decimals."""
    whole, _, part = dollars_exact(pico).partition(".")
    return f"{whole}.{part.ljust(2, '0')}"
