"""Warnings about a file and its mapping, shown before the first charge and again at the end. Pure."""

from collections.abc import Iterator, Mapping

from schemas.quantities import REASONING
from tools.importer.columns import CUSTOMER, KEY, KINDS, OF_KIND, PARTS, TOKENS, Columns, counts, likely_kind, plain
from tools.importer.event_maker import EventMaker
from tools.importer.pricing import NoEstimate, NotCounted, Prices
from tools.importer.survey import Survey
from tools.importer.timestamps import Times

SHOWN_PRICES = 10
"""Maximum warnings about prices."""


def stops(columns: Columns, events: EventMaker, no_tokens: bool) -> str | None:
    """Return what forbids the import after the whole file was read: None, or a sentence."""
    missing = columns.missing(events.columns)
    if missing is not None:
        return missing
    near = columns.near_tokens(events.used, events.unused)
    if near is not None and not no_tokens:
        field, column = near
        return (
            f"the column {column!r} looks like a misspelt {field}: use --map {field}={column}, or --map {field}= if"
            " it is something else"
        )
    if not no_tokens and not columns.maps_tokens and not counts(events.used):
        listed = ", ".join(filter(None, events.columns)) or "none"
        return (
            f"no column gives the tokens or another quantity (the columns are {listed}): use --map tokens=COLUMN or"
            " --map quantities.NAME=COLUMN, or --no-tokens to charge every row the base price only"
        )
    return None


def doubts(
    columns: Columns, events: EventMaker, survey: Survey, times: Times, prices: Mapping[str | None, Prices | None]
) -> list[str]:
    """Return warnings as sentences, the most serious first."""
    return [
        *_of_money(survey, prices),
        *_of_kinds(columns, events),
        *_of_columns(columns, events),
        *_of_time(survey, times),
        *_of_rows(survey),
    ]


def _of_money(survey: Survey, prices: Mapping[str | None, Prices | None]) -> Iterator[str]:
    if survey.events and not survey.tokens and not survey.quantities:
        yield "All rows have 0 tokens."
    elif survey.no_tokens:
        yield f"{survey.no_tokens:,} rows have no tokens: they cost the base price only."
    refused: dict[str, None] = {}
    general: dict[str, None] = {}
    for (customer, events), sums in survey.sums.items():
        known = prices.get(customer)
        if known is None:
            continue
        try:
            known.total(events, sums)
        except NotCounted as error:
            general[f"{error}: what its rows cost is not estimated."] = None
        except NoEstimate as error:
            refused[f"{error}: such rows will be refused."] = None
        else:
            if not known.names(events.action):
                general[f"The action {events.action!r} has no price of its own: it costs the price of *."] = None
    shown = [*refused, *general]
    yield from shown[:SHOWN_PRICES]
    if len(shown) > SHOWN_PRICES:
        yield f"… and {len(shown) - SHOWN_PRICES:,} further problems with prices."


def _of_columns(columns: Columns, events: EventMaker) -> Iterator[str]:
    for field, column, other in columns.rivals(events.used, events.unused):
        yield f"{field} is read from the column {column!r}, not from {other!r} (--map chooses)."
    for column in events.unused:
        name = plain(column)
        if name == plain(KEY):
            yield f"The column {column!r} is not used as the key of its rows; use --map {KEY}={column} for that."
        elif (kind := likely_kind(column)) is not None:
            yield (
                f"The column {column!r} is not charged: some providers count it within {_whole(kind, events)}, and it"
                f" would be charged twice. If it is not within, --map {kind}={column} charges it."
            )
        elif "token" in name and not any(column == other for *_, other in columns.rivals(events.used, events.unused)):
            yield f"The column {column!r} is not charged."
        elif name == plain(CUSTOMER):
            yield f"The column {column!r} is not used."


def _of_kinds(columns: Columns, events: EventMaker) -> Iterator[str]:
    """Yield warnings about counts that may be within another one. With the total of tokens every row is checked."""
    for field in KINDS:
        column = columns.mapped.get(field)
        if column and TOKENS not in events.used and plain(column) != plain(field):
            yield (
                f"{field} is read from the column {column!r}: it must not be within {_whole(field, events)}, or these"
                " tokens are charged twice."
            )


def _whole(field: str, events: EventMaker) -> str:
    """Return what the tokens of a kind may be within: a column, if there is one."""
    part = PARTS[1] if field == OF_KIND + REASONING else PARTS[0]
    return f"the column {events.used[part]!r}" if part in events.used else part


def _of_time(survey: Survey, times: Times) -> Iterator[str]:
    if survey.outside:
        months = ", ".join(month.name for month in survey.months() if month.outside)[:120]
        yield (
            f"{survey.outside:,} rows ({months}) are more than 35 days in the past or 5 minutes in the future: they"
            " count in this month, when they are accepted; metadata.source_time keeps their own time."
        )
    if survey.one_time:
        yield "All rows have the same time."
    if times.bare_dates:
        yield "Dates without an hour are read as midnight."


def _of_rows(survey: Survey) -> Iterator[str]:
    if survey.equal:
        yield f"{survey.equal:,} rows are equal to the row before them, including the time."
    if survey.repeated:
        yield f"{survey.repeated:,} rows repeat an earlier row with the same id: they are charged once."
    if survey.blank:
        yield f"{survey.blank:,} blank rows are skipped."
    if survey.long_count:
        yield f"{survey.long_count:,} rows span several lines; the first begins on line {survey.long[0]}."
