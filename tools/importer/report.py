"""Displays an import: a progress bar, and at the end a summary in money."""

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tools.importer.tally import Tally


class _Live(ProgressColumn):
    """Events per second and money so far, read from the tally when the bar is drawn."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def render(self, task: Task) -> Text:
        settled = self._tally.imported + self._tally.already
        rate = settled / task.elapsed if task.elapsed else 0
        return Text(f"{settled:,} events  {rate:,.0f}/s  ${self._tally.dollars}")


PLAIN_WIDTH = 200
"""Width, in columns, without a terminal: output to a file or a pipe is not cut."""


def console(stderr: bool = False) -> Console:
    """Return the console that a command prints to."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=PLAIN_WIDTH)


def progress(console: Console, tally: Tally) -> Progress:
    """Return a bar that advances by rows; drawn on a terminal only."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        _Live(tally),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def summary(console: Console, tally: Tally, seconds: float, notes: list[str]) -> None:
    """Print the closing table, with ``notes`` below it."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(justify="right")
    rate = (tally.imported + tally.already) / seconds if seconds > 0 else 0
    for name, value, always in (
        ("rows", f"{tally.rows:,}", True),
        ("imported", f"{tally.imported:,}", True),
        ("already there", f"{tally.already:,}", True),
        ("voided since", f"{tally.voided:,}", tally.voided > 0),
        ("bad", f"{tally.bad:,}", True),
        ("blank", f"{tally.blank:,}", tally.blank > 0),
        ("repeated", f"{tally.repeated:,}", tally.repeated > 0),
        ("total_cents", tally.cents, True),
        ("dollars", tally.dollars, True),
        ("events/s", f"{rate:,.0f}", True),
    ):
        if always:
            table.add_row(name, value)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
