"""What a person sees of an import."""

import io
import re

from rich.console import Console

from tools.importer.report import progress, summary
from tools.importer.tally import Tally


def tally() -> Tally:
    """Two events charged now, one before."""
    made = Tally(lambda _: None)
    for cents in (b"123.456789012345", b"0.1"):
        made.note_imported(cents)
    made.note_already(1)
    return made


def test_the_bar_shows_events_their_rate_and_the_money_so_far() -> None:
    """On a terminal, and nothing at all where there is none."""
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=150, color_system=None)
        with progress(console, tally()) as bar:
            bar.add_task("usage.csv", total=10, completed=5)
        assert isinstance(console.file, io.StringIO)
        drawn = console.file.getvalue()
        assert terminal == bool(re.search(r"usage\.csv .* 50% 3 events  [\d,]+/s  \$1\.23556789012345 ", drawn))
        assert terminal or drawn.strip() == ""


def test_the_summary_is_exact_money_and_its_rate() -> None:
    """Cents and dollars to the last digit; what was there before is counted, and costs nothing again."""
    console = Console(file=io.StringIO(), width=100)
    summary(console, tally(), 2.0, ["a note [with] brackets"])
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines == [
        ["rows", "3"],
        ["imported", "2"],
        ["already", "there", "1"],
        ["bad", "0"],
        ["total_cents", "123.556789012345"],
        ["dollars", "1.23556789012345"],
        ["events/s", "2"],
        ["a", "note", "[with]", "brackets"],
    ]
