"""Tables as files, CSV or Parquet, group by group of rows, so that memory stays bounded. Amounts stay exact.

A cell is what its column holds (:class:`schemas.parquet_file.ColumnKind`): text, a count, pico-cents, ms, a flag; or
None.
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence

from schemas.money import format_cents
from schemas.objects import iso
from schemas.parquet_file import Column, ColumnKind, ParquetFile, Value
from schemas.spreadsheets import safe_text

TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
"""The media type of each kind of file, by the end of its name."""
Groups = AsyncIterator[Sequence[Sequence[Value]] | str]
"""Groups of rows; and at last, if the table does not end there, a text that says so."""


async def pieces(kind: str, columns: Sequence[Column], groups: Groups) -> AsyncIterator[bytes]:
    """Yield the file in pieces, the first with its first rows. Raises what ``groups`` raises."""
    async for piece in _parquet(columns, groups) if kind == "parquet" else _csv(columns, groups):
        yield piece


async def _csv(columns: Sequence[Column], groups: Groups) -> AsyncIterator[bytes]:
    head: list[Sequence[str]] = [[column.name for column in columns]]
    async for group in groups:
        if isinstance(group, str):
            yield _lines([[group]])
        else:
            yield _csv_rows(columns, group, head)
            head = []


async def _parquet(columns: Sequence[Column], groups: Groups) -> AsyncIterator[bytes]:
    file, note = ParquetFile(columns), ""
    async for group in groups:
        if isinstance(group, str):
            note = group
        else:
            yield file.group(group)
    yield file.end(note)


def _csv_rows(columns: Sequence[Column], rows: Sequence[Sequence[Value]], head: Sequence[Sequence[str]]) -> bytes:
    return _lines([*head, *([_cell(*one) for one in zip(columns, row, strict=True)] for row in rows)])


def _cell(column: Column, value: Value) -> str:
    if value is None:
        return ""
    if column.kind is ColumnKind.TEXT:
        return safe_text(str(value))
    if column.kind is ColumnKind.FLAG:
        return "true" if value else "false"
    number = int(value)
    if column.kind is ColumnKind.CENTS:
        return format_cents(number)
    return iso(number) if column.kind is ColumnKind.TIME else str(number)


def _lines(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def whole(kind: str, columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> bytes:
    """Return the file of a table that is in memory."""
    if kind == "parquet":
        file = ParquetFile(columns)
        return file.group(rows) + file.end()
    return _csv_rows(columns, rows, [[column.name for column in columns]])


async def one_group(rows: Sequence[Sequence[Value]]) -> Groups:
    """Yield a table that is in memory already."""
    yield rows
