"""Reports a comparison to a person, or to a program (--json)."""

import json
from decimal import ROUND_HALF_UP, Context, Decimal
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from tools.verify.check import Totals
from tools.verify.compare import Difference
from tools.verify.row_values import EXACT


class Report:
    """Report that keeps the first differences for the screen and writes all of them to the file, if any."""

    def __init__(self, shown: int, file: TextIO | None) -> None:
        self._shown, self._file = shown, file
        self.first: list[Difference] = []
        self._written = 0
        if file is not None:
            file.write('{"differences": [')

    def add(self, difference: Difference) -> None:
        if len(self.first) < self._shown:
            self.first.append(difference)
        if self._file is not None:
            self._file.write(",\n" if self._written else "\n")
            self._file.write(json.dumps({**difference._asdict(), "event_id": difference.event_id}, default=str))
            self._written += 1

    def close(self, totals: Totals) -> None:
        """Write the end of the file: what was read and compared."""
        if self._file is not None:
            summary = {**totals.__dict__, "cents": cents(totals.cents), "agree": totals.differences == 0}
            self._file.write(f'\n], "summary": {json.dumps(summary)}}}\n')


def opened(path: Path | None) -> TextIO | None:
    return None if path is None else path.open("w", encoding="utf-8")


def cents(amount: Decimal) -> str:
    """Return an exact amount, without exponent and trailing zeros."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded(dollars: Decimal) -> Decimal:
    """Return dollars rounded to two decimals, half up."""
    return dollars.quantize(Decimal("0.01"), ROUND_HALF_UP, Context(prec=100))


def show(console: Console, totals: Totals, first: list[Difference]) -> None:
    """Print the first differences, if any, and the summary."""
    if first:
        _show_differences(console, totals, first)
    dollars = EXACT.divide(totals.cents, Decimal(100))
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in (
        ("commands read", f"{totals.commands:,}"),
        ("events in them", f"{totals.events:,}"),
        ("ledger rows", f"{totals.rows:,}"),
        ("of them older than the log", f"{totals.derived:,}"),
        ("of them on terms older than the log", f"{totals.borrowed:,}"),
        ("sum in cents", cents(totals.cents)),
        ("sum in dollars", f"{cents(dollars)} ({_rounded(dollars)})"),
        ("differences", f"{totals.differences:,}"),
    ):
        table.add_row(name, value)
    console.print(table)
    if totals.differences:
        console.print("Log and ledger DIFFER", style="bold red")
    else:
        console.print("Log and ledger agree", style="bold green")


def _show_differences(console: Console, totals: Totals, first: list[Difference]) -> None:
    title = f"The first {len(first)} of {totals.differences:,} differences"
    table = Table(title=title if totals.differences > len(first) else "Differences")
    for column in ("what", "event id", "partition/offset/index", "column", "the log says", "the ledger says"):
        table.add_column(column, overflow="fold")
    for d in first:
        place = f"{d.partition}/{d.offset}/{d.place}"
        table.add_row(d.what, str(d.event_id), place, d.column, _said(d.expected), _said(d.ledger))
    console.print(table, markup=False)


def _said(value: Any) -> str:
    if isinstance(value, Decimal):
        return cents(value)
    return "" if value is None else str(value)
