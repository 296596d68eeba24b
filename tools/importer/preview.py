"""Shows what an import would do before it does it: for `--dry-run`, and for the question on a terminal."""

from collections.abc import Mapping

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.money import format_cents
from schemas.quantities import format_quantity
from tools.importer.columns import METADATA, QUANTITY, Columns
from tools.importer.event_maker import DEFAULT_AGENT, EventMaker, Prepared
from tools.importer.pricing import NoEstimate, NotCounted, Prices
from tools.importer.recorded_rows import RecordedRows
from tools.importer.survey import Survey
from tools.importer.tally import dollars

SHOWN_MONTHS = 24
PriceList = Mapping[str | None, Prices | None]
"""Prices by the customer that a request names (None: the key's own)."""


def preview(
    console: Console,
    import_id: str,
    columns: Columns,
    events: EventMaker,
    survey: Survey,
    prices: PriceList,
    there: RecordedRows,
    doubts: list[str],
) -> None:
    """Print the whole preview."""
    _say(console, f"Preview of import {import_id}")
    _say(console, "")
    _first_rows(console, survey, prices)
    _mapping(console, columns, events)
    _months(console, survey)
    _totals(console, survey, prices, there)
    if doubts:
        _say(console, "Warnings:")
        for doubt in doubts:
            _say(console, f"- {doubt}")
        _say(console, "")


def _first_rows(console: Console, survey: Survey, prices: PriceList) -> None:
    if not survey.first:
        return
    _say(console, "The first rows as events, at current prices:")
    for made in survey.first:
        where = f"line {made.line}" if made.line else f"row {made.row}"
        _say(console, f"  {where}: {_as_sent(made, survey)}  {_price(made, prices)}")
    _say(console, "")


def _as_sent(made: Prepared, survey: Survey) -> str:
    sent = msgspec.structs.replace(made.placed(survey.oldest, survey.latest))
    if (sent.idempotency_key or "").startswith("import/"):
        sent.idempotency_key = None  # generated, and long
    whose = f'"{made.customer}" ' if made.customer else ""
    return whose + msgspec.json.encode(sent).decode()


def _price(made: Prepared, prices: PriceList) -> str:
    known = prices.get(made.customer)
    if known is None:
        return "price unknown"
    try:
        return f"{format_cents(known.of_event(made))} cents"
    except NotCounted as error:
        return f"{error}: no estimate"
    except NoEstimate as error:
        return f"error: {error}; it will be refused"


def _mapping(console: Console, columns: Columns, events: EventMaker) -> None:
    _say(console, "Where each field comes from:")
    for field, column in events.used.items():
        how = "--map" if columns.mapped.get(field) == column else "--metadata" if METADATA in field else "its name"
        _say(console, f"  {field:<16} column {column!r} ({how})")
    for field, value in columns.fixed.items():
        _say(console, f"  {field:<16} {value!r} (--set)")
    if not {"agent_id"} & (events.used.keys() | columns.fixed.keys() | columns.mapped.keys()):
        _say(console, f"  {'agent_id':<16} {DEFAULT_AGENT!r} (the default)")
    if events.unused:
        _say(console, f"  ignored columns  {', '.join(column or '(without a name)' for column in events.unused)}")
    _say(console, "")


def _months(console: Console, survey: Survey) -> None:
    months = survey.months()
    if not months:
        return
    _say(console, "Rows by month (UTC):")
    for month in months[-SHOWN_MONTHS:]:
        name = month.name or "no time"
        outside = f", {month.outside:,} of them outside the window" if month.outside else ""
        _say(console, f"  {name:<16} {month.rows:,}{outside}")
    if len(months) > SHOWN_MONTHS:
        _say(console, f"  … and {len(months) - SHOWN_MONTHS} earlier months")
    _say(console, "")


def _totals(console: Console, survey: Survey, prices: PriceList, there: RecordedRows) -> None:
    pico, priced = 0, True
    for (customer, events), sums in survey.sums.items():
        known = prices.get(customer)
        try:
            pico += 0 if known is None else known.total(events, sums)
            priced = priced and known is not None
        except NoEstimate:
            priced = False
    table = Table(show_header=False, box=None, title="The whole file, at current prices", title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("rows", f"{survey.rows:,}"),
        ("events", f"{survey.events:,}"),
        ("bad", f"{survey.bad:,}"),
        ("tokens", f"{survey.tokens:,}"),
        *((QUANTITY + name, format_quantity(micro)) for name, micro in sorted(survey.quantities.items())),
        ("total_cents", format_cents(pico) + ("" if priced else " and the rows without a price")),
        ("dollars", dollars(pico)),
        ("already there", f"{there.rows:,}"),
        ("to be charged", f"{survey.events - there.rows:,}"),
    ):
        table.add_row(name, value)
    console.print(table)
    _say(console, "")


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
