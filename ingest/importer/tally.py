"""What an import came to so far: counts, exact money, bad rows. Pure."""

from collections.abc import Callable

from ingest.importer.cells import BadCell
from schemas.money import dollars_exact, format_cents, parse_cents


class Tally:
    """Counts of rows and money. ``say`` is given a line for each bad row."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.imported = 0
        self.already = 0
        self.bad = 0
        self.pico = 0
        """Charged by this import, in pico-cents."""

    def note_bad(self, row: int, line: int, problem: BadCell) -> None:
        self.bad += 1
        column = f", column {problem.column}" if problem.column else ""
        self._say(f"line {line} (row {row}){column}: {problem.reason}")

    def note_imported(self, total_cents: str) -> None:
        """One event charged; ``total_cents`` is the answer's number as it was written."""
        self.imported += 1
        self.pico += parse_cents(total_cents)

    def note_already(self, count: int) -> None:
        """``count`` events that were charged before this import."""
        self.already += count

    @property
    def rows(self) -> int:
        return self.imported + self.already + self.bad

    @property
    def cents(self) -> str:
        return format_cents(self.pico)

    @property
    def dollars(self) -> str:
        """Exact dollars, at least two decimals."""
        whole, _, part = dollars_exact(self.pico).partition(".")
        return f"{whole}.{part.ljust(2, '0')}"
