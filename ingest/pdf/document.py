"""What a PDF shows, before it is laid out."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A line of the table; ``detail`` stands below ``words`` in small letters."""

    words: str
    detail: str
    quantity: str
    rate: str
    amount: str


class Sum(NamedTuple):
    """A line below the table."""

    words: str
    amount: str
    is_strong: bool = False


class PdfDocument(NamedTuple):
    """What the pages show. ``facts``: labels and values; ``parties``: a heading and lines each."""

    title: str
    name: str
    facts: Sequence[tuple[str, str]]
    parties: Sequence[tuple[str, Sequence[str]]]
    headline: str
    amount_title: str
    rows: Sequence[Row]
    sums: Sequence[Sum]
    notes: Sequence[str]
    foot: str
