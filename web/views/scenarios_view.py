"""What the page of saved scenarios compares: each replay over the same time. Pure; money in pico-cents."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from schemas.money import parse_cents
from warehouse.replay import Replayed
from warehouse.saved_scenarios import ScenarioRow
from web import formats
from web.data.replay_data import part, whole_of

HALF = 50
"""Percent of a picture on each side of its middle."""


class ScenarioLine(NamedTuple):
    """A scenario and what it would have earned; ``start`` and ``width`` in percent of the picture.

    ``more`` and ``less``: customers who would pay more and less. ``why``: what it was not replayed for.
    """

    name: str
    customer: str
    rows: int
    query: str
    saved: int
    actual: int
    replayed: int
    difference: int
    change: tuple[str, str]
    more: int
    less: int
    refused: int
    start: int
    width: int
    why: str


def lines(found: Sequence[tuple[ScenarioRow, list[Any], Replayed | str]]) -> list[ScenarioLine]:
    """Return the scenarios with what each found, or why it found nothing: the best first."""
    made = [_line(*one) for one in found]
    largest = max((abs(one.difference) for one in made), default=0)
    made.sort(key=lambda one: (bool(one.why), -one.difference, one.name))
    return [_drawn(one, largest) for one in made]


def query_of(row: ScenarioRow) -> str:
    """Return the query of the address that holds a scenario."""
    return urlencode({"changes": row.changes} | ({"customer_id": row.customer} if row.customer else {}))


def _line(row: ScenarioRow, changes: list[Any], found: Replayed | str) -> ScenarioLine:
    why, sums, customers = (
        (found, None, []) if isinstance(found, str) else ("", whole_of(found), part(found, "customer"))
    )
    actual, replayed = (parse_cents(sums.actual), parse_cents(sums.replayed)) if sums else (0, 0)
    differences = [parse_cents(one.replayed) - parse_cents(one.actual) for one in customers]
    return ScenarioLine(
        name=row.name,
        customer=row.customer,
        rows=len(changes),
        query=query_of(row),
        saved=row.saved_at,
        actual=actual,
        replayed=replayed,
        difference=replayed - actual,
        change=formats.change(replayed, actual),
        more=sum(one > 0 for one in differences),
        less=sum(one < 0 for one in differences),
        refused=sums.refused if sums else 0,
        start=HALF,
        width=0,
        why=why,
    )


def _drawn(one: ScenarioLine, largest: int) -> ScenarioLine:
    width = max(abs(one.difference) * HALF // largest, 1) if one.difference else 0
    return one._replace(width=width, start=HALF if one.difference >= 0 else HALF - width)
