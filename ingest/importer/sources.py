"""Reading a usage file: its hash, then its rows one by one. Never the whole file in memory."""

import csv
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from ingest.importer.cells import BadCell, Cells, CsvCells, JsonCells

BLOCK = 1 << 20
MAX_LINE = 4 << 20
"""Bytes of one line of JSON; a longer one could not be sent."""


class FileError(ValueError):
    """A file that cannot be imported at all."""


class Row(NamedTuple):
    """One record of the file. ``number`` counts records from 1, ``line`` is where it begins.

    ``size`` bounds the JSON that can be made of it, in bytes, and depends on the content of
    the file alone: by it batches are cut, so that the same file always makes the same batches.
    """

    number: int
    line: int
    cells: dict[str, Any]
    size: int
    problem: BadCell | None = None


class Source(NamedTuple):
    """An open file: its format's cells, its header (None: each row has its own) and its rows.

    Whoever opened it calls ``close``."""

    cells: Cells
    header: list[str] | None
    rows: Iterator[Row]
    close: Callable[[], None]


def digest(path: Path) -> tuple[str, int]:
    """SHA-256 of the file's bytes (hex) and its number of lines. Raises FileError, OSError."""
    found, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise FileError("it is UTF-16: save it as UTF-8")
        file.seek(0)
        while block := file.read(BLOCK):
            found.update(block)
            lines += block.count(b"\n")
    return found.hexdigest(), lines


def open_source(path: Path, delimiter: str = ",") -> Source:
    """The rows of a .csv or .jsonl file. Raises FileError, OSError."""
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        lines = path.open("rb")
        return Source(JsonCells(), None, _json_rows(lines), lines.close)
    if suffix not in (".csv", ".tsv"):
        raise FileError("its name must end in .csv, .tsv or .jsonl")
    # A wrong byte must cost its row only: it becomes a lone surrogate, which no UTF-8 holds.
    file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(file, delimiter="\t" if suffix == ".tsv" else delimiter)
    csv.field_size_limit(MAX_LINE)
    try:
        header = next(reader)
    except (StopIteration, csv.Error):
        file.close()
        raise FileError("it has no header line") from None
    header = [column.strip() for column in header]
    try:
        _check_header(header)
    except FileError:
        file.close()
        raise
    return Source(CsvCells(), header, _csv_rows(reader, header), file.close)


def _check_header(header: list[str]) -> None:
    if any(_size(column) is None for column in header):
        raise FileError("its header is not UTF-8")
    double = next((column for i, column in enumerate(header) if column in header[:i]), None)
    if double is not None:
        raise FileError(f"its header names the column {double!r} twice")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise FileError(f"its header is one column, {header[0]!r}: name the separator with --delimiter")


def _csv_rows(reader: Any, header: list[str]) -> Iterator[Row]:
    names = sum(len(column.encode()) + 6 for column in header)
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield Row(number, line, {}, names, BadCell("", str(error)))
            continue
        if cells:
            number += 1
            yield _csv_row(number, line, cells, header, names)


def _csv_row(number: int, line: int, cells: list[str], header: list[str], names: int) -> Row:
    sizes = [_size(cell) for cell in cells]
    size = names + sum(s or 0 for s in sizes)
    if len(cells) != len(header):
        reason = f"has {len(cells)} cells, the header has {len(header)}"
        return Row(number, line, {}, size, BadCell("", reason))
    if None in sizes:
        return Row(number, line, {}, size, BadCell(header[sizes.index(None)], "is not UTF-8"))
    return Row(number, line, {column: cell for column, cell in zip(header, cells, strict=True) if cell}, size)


def _size(cell: str) -> int | None:
    """Bytes of a cell as UTF-8; None when it holds bytes that were not."""
    if cell.isascii():
        return len(cell)
    try:
        return len(cell.encode())
    except UnicodeEncodeError:
        return None


_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _json_rows(file: BinaryIO) -> Iterator[Row]:
    number = line = 0
    while text := file.readline(MAX_LINE):
        line += 1
        cut = len(text) == MAX_LINE and not text.endswith(b"\n")
        while cut and (rest := file.readline(BLOCK)) and not rest.endswith(b"\n"):
            pass
        if line == 1:
            text = text.removeprefix(b"\xef\xbb\xbf")
        if text.strip():
            number += 1
            yield _json_row(number, line, text, cut)


def _json_row(number: int, line: int, text: bytes, cut: bool) -> Row:
    if cut:
        return Row(number, line, {}, MAX_LINE, BadCell("", f"is longer than {MAX_LINE} bytes"))
    try:
        text.decode()
        cells = _decode_line(text)
    except UnicodeDecodeError:
        return Row(number, line, {}, len(text), BadCell("", "is not UTF-8"))
    except msgspec.MsgspecError as error:
        return Row(number, line, {}, len(text), BadCell("", f"is not a JSON object: {error}"))
    except RecursionError:
        return Row(number, line, {}, len(text), BadCell("", "is nested too deeply"))
    # Column names repeat within a file; interning them keeps the plans' cache keys cheap.
    present = {sys.intern(str(column)): cell for column, cell in cells.items() if bytes(cell) != b"null"}
    return Row(number, line, present, len(text))
