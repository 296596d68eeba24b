"""Reads the rows of a Parquet file with pyarrow. Imported only for such a file."""

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from tools.importer.cells import quantities, quantities_of_json, quantity, whole
from tools.importer.columns import trimmed
from tools.importer.timestamps import Times

AT_ONCE = 4096
"""Rows read at once."""

RawRow = tuple[int, int, list[Any], int, None, None, bool]


class ParquetError(ValueError):
    """Error: the file cannot be read as Parquet."""


class ParquetCells:
    """Cells of Python values."""

    named = False

    def text(self, cell: Any) -> str:
        if not isinstance(cell, str):
            raise ValueError(f"{str(cell)[:40]!r} is not a string")
        return cell

    def id(self, cell: Any) -> str:
        return str(cell) if type(cell) is int else self.text(cell)

    def whole(self, cell: Any) -> int:
        if type(cell) is not int:
            raise ValueError(f"{str(cell)[:40]!r} is not an integer (its column is of {type(cell).__name__})")
        return whole(str(cell))

    def quantity(self, cell: Any) -> str:
        if isinstance(cell, float):
            raise ValueError(f"{cell!r} is a double, which is not exact: make its column a decimal or an integer")
        if isinstance(cell, Decimal):
            text = format(cell, "f")  # with as many decimals as its column's scale
            return quantity(text.rstrip("0").rstrip(".") if "." in text else text)
        return quantity(str(cell) if type(cell) is int else self.text(cell).strip())

    def quantities(self, cell: Any) -> dict[str, str]:
        if isinstance(cell, str):
            return quantities_of_json(cell)
        if isinstance(cell, dict):  # a struct
            return quantities(cell.items(), self.quantity)
        if isinstance(cell, list) and all(isinstance(item, tuple) for item in cell):  # a map
            return quantities(((str(name), value) for name, value in cell), self.quantity)
        raise ValueError(f"{str(cell)[:40]!r} is not an object of quantities")

    def moment(self, cell: Any, times: Times) -> int:
        if isinstance(cell, datetime):
            return times.read(cell.isoformat(timespec="milliseconds"))
        if isinstance(cell, date):
            return times.read(cell.isoformat())
        if type(cell) is int or isinstance(cell, Decimal):
            return times.read(str(cell))
        return times.read(self.text(cell).strip())

    def json(self, cell: Any) -> Any:
        if isinstance(cell, bytes):
            raise ValueError("is bytes, which metadata cannot contain")
        if isinstance(cell, Decimal):
            return msgspec.Raw(format(cell, "f").encode())
        if isinstance(cell, float) and (cell != cell or cell in (float("inf"), float("-inf"))):
            raise ValueError(f"{cell} is not a number that metadata can contain")
        return msgspec.Raw(msgspec.json.encode(cell))


def open_rows(path: Path) -> tuple[ParquetCells, list[str], Iterator[RawRow], Callable[[], None]]:
    """Return cells, header, rows (as sources.SourceRow) and a function that closes the file. Raises
    ParquetError, OSError."""
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ParquetError(f"it cannot be read as Parquet: {error}") from None
    header = [trimmed(name) for name in file.schema_arrow.names]
    return ParquetCells(), header, _rows(file), file.close


def _rows(file: Any) -> Iterator[RawRow]:
    number = 0
    for batch in file.iter_batches(AT_ONCE):
        columns = [_values(column) for column in batch.columns]
        for cells in zip(*columns, strict=True):
            number += 1
            blank = not any(cell is not None for cell in cells)
            yield number, 0, list(cells), 32 * len(cells), None, None, blank


def _values(column: Any) -> list[Any]:
    """Return a column as Python values: nanosecond times are cut to microseconds, since Python has no nanoseconds."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [value.strip() or None if value is not None else None for value in values]
    return values
