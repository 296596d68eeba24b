"""Reads a usage file: its hash, then its rows one by one. Only a .json file is held in memory whole."""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import msgspec

from tools.importer.cells import BadCell, Cells, CsvCells, JsonCells
from tools.importer.columns import trimmed
from tools.importer.csvfile import CsvError, Reader, Record
from tools.importer.timestamps import MOMENT, NUMBER

BLOCK = 1 << 20
MAX_LINE = 4 << 20
"""Maximum bytes of one line of JSON; a longer one could not be sent."""
MAX_ARRAY = 256 << 20
"""Maximum bytes of a .json file, which is read whole."""


class FileError(ValueError):
    """Error: a file that cannot be imported at all."""


class SourceRow(msgspec.Struct, gc=False):
    """One record of the file. ``number`` counts records from 1, ``line`` is where it begins (0: the format
    has no lines). ``cells``: by the positions in its plan, None where absent. ``columns``: their names, if
    each row has its own. ``size``: its approximate bytes."""

    number: int
    line: int
    cells: Any
    size: int
    columns: tuple[str, ...] | None = None
    problem: BadCell | None = None
    blank: bool = False
    lines: int = 1


class RowSource(NamedTuple):
    """Open file: its format's cells, its header (None: each row has its own) and its rows.

    Reading the rows raises FileError. The opener must call ``close``.
    """

    cells: Cells
    header: list[str] | None
    rows: Iterator[SourceRow]
    close: Callable[[], None]


class Digest(NamedTuple):
    """SHA-256 of a file's bytes (hex), its number of lines, and whether it contains a NUL byte."""

    sha256: str
    lines: int
    nul: bool


def digest(path: Path) -> Digest:
    """Return the digest of a file. Raises FileError, OSError."""
    found, lines, nul, size = hashlib.sha256(), 0, 0, 0
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise FileError("it is UTF-16: save it as UTF-8")
        file.seek(0)
        while block := file.read(BLOCK):
            found.update(block)
            lines += block.count(b"\n")
            nul += block.count(b"\0")
            size += len(block)
    if nul > size // 4 and path.suffix.lower() != ".parquet":
        raise FileError("every other byte of it is zero: is it UTF-16? Save it as UTF-8")
    return Digest(found.hexdigest(), lines, nul > 0)


def open_source(path: Path, delimiter: str | None = None, nul: bool = False) -> RowSource:
    """Return the rows of a .csv, .tsv, .jsonl, .json or .parquet file. Raises FileError, OSError."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            lines = path.open("rb")
            return RowSource(JsonCells(), None, _json_rows(lines), lines.close)
        case ".json":
            return RowSource(JsonCells(), None, _array_rows(_array(path)), lambda: None)
        case ".parquet":
            return _parquet(path)
        case ".csv" | ".tsv" as suffix:
            return _open_csv(path, "\t" if suffix == ".tsv" and delimiter is None else delimiter, nul)
    raise FileError("its name must end in .csv, .tsv, .jsonl, .json or .parquet")


def _parquet(path: Path) -> RowSource:
    try:
        from tools.importer import parquet
    except ImportError:
        raise FileError("reading .parquet needs pyarrow, which is not installed: pip install pyarrow") from None
    try:
        cells, header, rows, close = parquet.open_rows(path)
    except parquet.ParquetError as error:
        raise FileError(str(error)) from None
    _check_header(header)
    return RowSource(cells, header, (SourceRow(*row) for row in rows), close)


def _open_csv(path: Path, delimiter: str | None, nul: bool) -> RowSource:
    # A wrong byte must cost its row only: it becomes a lone surrogate, which cannot be encoded as UTF-8.
    file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        mark, line = _delimiter(file, delimiter)
        records = iter(Reader(file, mark, line))
        header = _header(records)
        if len(header) == 1 and any(other in header[0] for other in ",;\t|"):
            raise FileError(f"its header has only one column, {header[0]!r}: set the separator with --delimiter")
    except CsvError as error:
        file.close()
        raise FileError(str(error)) from None
    except BaseException:
        file.close()
        raise
    return RowSource(CsvCells(), header, _csv_rows(records, header, nul), file.close)


def _delimiter(file: TextIO, given: str | None) -> tuple[str, int]:
    """Return the delimiter, and how many lines were read to find it: spreadsheets write a first line ``sep=;``."""
    found = re.fullmatch(r'"?sep=(.)"?[\r\n]*', file.readline(MAX_LINE), re.IGNORECASE)
    if found is None:
        file.seek(0)
        return given or ",", 0
    if given not in (None, found[1]):
        raise FileError(f"its first line says that cells are separated by {found[1]!r}, not {given!r}")
    return found[1], 1


def _header(records: Iterator[Record]) -> list[str]:
    for line, _, cells, _, problem, _ in records:
        if problem is not None:
            raise FileError(f"line {line}, the header, {problem}")
        if any(cells):
            header = [trimmed(cell or "") for cell in cells]
            _check_header(header)
            return header
    raise FileError("it has no header line")


def _check_header(header: list[str]) -> None:
    if any(_size(column) is None for column in header):
        raise FileError("its header is not UTF-8")
    double = next((column for i, column in enumerate(header) if column in header[:i]), None)
    if double is not None:
        raise FileError(f"its header names the column {double!r} twice" if double else "two columns have no name")


def looks_like_data(header: list[str]) -> str | None:
    """Return a cell of the header that is a number or a time, which suggests that the file has no header."""
    return next((cell for cell in header if NUMBER.fullmatch(cell) or (cell and MOMENT.fullmatch(cell))), None)


def _csv_rows(records: Iterator[Record], header: list[str], nul: bool) -> Iterator[SourceRow]:
    number = 0
    width = len(header)
    again = [cell or None for cell in header]
    try:
        for line, lines, cells, text, why, place in records:
            blank = cells[0] is None and not any(cells)
            if blank and len(cells) == 1:
                continue  # an empty line
            number += 1
            problem = None
            if why is not None:
                problem = BadCell(_column(header, place), why)
            elif len(cells) != width and not blank:
                problem = BadCell("", f"has {len(cells)} cells, the header has {width}")
            elif cells == again:
                problem = BadCell("", "repeats the header")
            elif nul or not text.isascii():
                problem = _bad_text(cells, header)
            yield SourceRow(number, line, cells, len(text), problem=problem, blank=blank, lines=lines)
    except CsvError as error:
        raise FileError(str(error)) from None


def _column(header: list[str], place: int) -> str:
    return header[place] if place < len(header) else ""


def _bad_text(cells: list[str | None], header: list[str]) -> BadCell | None:
    for place, cell in enumerate(cells):
        if cell is None:
            continue
        if _size(cell) is None:
            return BadCell(_column(header, place), "is not UTF-8")
        if "\0" in cell:
            return BadCell(_column(header, place), "holds a NUL byte")
    return None


def _size(cell: str) -> int | None:
    """Return the bytes of a cell as UTF-8; None if it contains bytes that were not UTF-8."""
    try:
        return len(cell.encode())
    except UnicodeEncodeError:
        return None


_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
NULL = b"null"


def _json_rows(file: BinaryIO) -> Iterator[SourceRow]:
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


def _array(path: Path) -> tuple[bytes, list[msgspec.Raw]]:
    if path.stat().st_size > MAX_ARRAY:
        raise FileError(f"it is larger than {MAX_ARRAY >> 20} MiB: convert it to .jsonl, one object per line")
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return text, _decode_array(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        hint = "; is it .jsonl?" if text.lstrip()[:1] == b"{" else ""
        raise FileError(f"it is not one JSON array of objects: {error}{hint}") from None


def _array_rows(array: tuple[bytes, list[msgspec.Raw]]) -> Iterator[SourceRow]:
    text, items = array
    at, line = 0, 1
    for number, item in enumerate(items, 1):
        raw = bytes(item)
        # only blanks and a comma lie between two items, so the next match is the item itself
        begin = text.index(raw, at)
        line += text.count(b"\n", at, begin)
        yield _json_row(number, line, raw, len(raw) > MAX_LINE)
        at = begin + len(raw)
        line += raw.count(b"\n")


def _json_row(number: int, line: int, text: bytes, cut: bool) -> SourceRow:
    if cut:
        return _bad_row(number, line, MAX_LINE, f"is longer than {MAX_LINE} bytes")
    try:
        text.decode()
        found = _decode_line(text)
    except UnicodeDecodeError:
        return _bad_row(number, line, len(text), "is not UTF-8")
    except msgspec.MsgspecError as error:
        return _bad_row(number, line, len(text), f"is not a JSON object: {error}")
    except RecursionError:
        return _bad_row(number, line, len(text), "is nested too deeply")
    # Column names repeat within a file; interning them keeps the plans' cache keys cheap.
    cells: dict[str, msgspec.Raw | None] = {}
    quotes = 2 * len(found)
    for column, cell in found.items():
        value = bytes(cell)
        quotes += value.count(b'"')
        cells[sys.intern(column)] = None if value == NULL else cell
    # A repeated name leaves quotes that no name and no value accounts for.
    if text.count(b'"') != quotes and (twice := _twice(text)) is not None:
        return _bad_row(number, line, len(text), "occurs twice", twice)
    blank = not any(cell is not None for cell in cells.values())
    return SourceRow(
        number=number, line=line, cells=cells, size=len(text), columns=tuple(cells), problem=None, blank=blank
    )


def _twice(text: bytes) -> str | None:
    """Return the first name that a JSON object has more than once."""
    names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
    return next((name for place, name in enumerate(names) if name in names[:place]), None)


def _bad_row(number: int, line: int, size: int, reason: str, column: str = "") -> SourceRow:
    return SourceRow(number, line, {}, size, (), BadCell(column, reason))
