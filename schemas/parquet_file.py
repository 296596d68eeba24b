"""Tables as Parquet, written row group by row group, so that memory stays bounded. Pure; no floats.

Five kinds of columns need little of the format: plain pages, compressed with gzip, and a footer in Thrift's compact
protocol (https://parquet.apache.org/docs/file-format/). Money is DECIMAL(38, 12), times are ms in UTC.
"""

import gzip
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import NamedTuple

from schemas.money import DECIMALS

MAGIC = b"PAR1"
DIGITS = 38
_WIDTH = 16
"""Bytes of an amount."""
_BOOL, _INT64, _BYTES, _FIXED = 0, 2, 6, 7
_TRUE, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 5, 6, 8, 9, 12
_GZIP, _PLAIN, _RLE = 2, 0, 3
Value = str | int | bool | None


class Column(NamedTuple):
    """A column; any of its values may be None. Amounts are pico-cents, times ms."""

    name: str
    kind: "ColumnKind"


class ColumnKind(Enum):
    """What a column holds."""

    TEXT = "text"
    COUNT = "count"
    CENTS = "cents"
    TIME = "time"
    FLAG = "flag"


class _Chunk(NamedTuple):
    offset: int
    size: int
    packed: int
    rows: int


class ParquetFile:
    """A file in pieces: each ``group`` and the ``end`` return bytes that follow those before."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._at = 0
        self._groups: list[list[_Chunk]] = []

    def group(self, rows: Sequence[Sequence[Value]]) -> bytes:
        """Return a group of rows, each with a value for every column."""
        pieces = [MAGIC] if self._at == 0 else []
        chunks = []
        at = self._at + sum(map(len, pieces))
        for number, column in enumerate(self._columns):
            values = [row[number] for row in rows]
            body = _page(column, values)
            packed = gzip.compress(body, 6, mtime=0)
            header = _page_header(len(values), len(body), len(packed))
            pieces += [header, packed]
            chunks.append(_Chunk(at, len(header) + len(body), len(header) + len(packed), len(values)))
            at += len(header) + len(packed)
        self._groups.append(chunks)
        self._at = at
        return b"".join(pieces)

    def end(self, note: str = "") -> bytes:
        """Return the end of the file; ``note`` stands in its metadata."""
        head = b"" if self._at else MAGIC
        footer = self._footer(note)
        return head + footer + len(footer).to_bytes(4, "little") + MAGIC

    def _footer(self, note: str) -> bytes:
        root = _struct((4, _BINARY, _binary("rows")), (5, _I32, _number(len(self._columns))))
        schema = _list(_STRUCT, [root, *(_element(column) for column in self._columns)])
        groups = _list(_STRUCT, [self._row_group(chunks) for chunks in self._groups])
        rows = sum(chunks[0].rows for chunks in self._groups)
        said = [_struct((1, _BINARY, _binary("note")), (2, _BINARY, _binary(note)))] if note else []
        return _struct(
            (1, _I32, _number(1)),
            (2, _LIST, schema),
            (3, _I64, _number(rows)),
            (4, _LIST, groups),
            (5, _LIST, _list(_STRUCT, said)),
            (6, _BINARY, _binary("rev")),
        )

    def _row_group(self, chunks: Sequence[_Chunk]) -> bytes:
        columns = [
            _struct((2, _I64, _number(chunk.offset)), (3, _STRUCT, _column_meta(column, chunk)))
            for column, chunk in zip(self._columns, chunks, strict=True)
        ]
        size = sum(chunk.size for chunk in chunks)
        return _struct(
            (1, _LIST, _list(_STRUCT, columns)), (2, _I64, _number(size)), (3, _I64, _number(chunks[0].rows))
        )


def _page(column: Column, values: Sequence[Value]) -> bytes:
    """Return a page: which values are there, and those that are."""
    there = [value is not None for value in values]
    groups = -(-len(there) // 8)
    levels = _varint(groups << 1 | 1) + _bits(there, groups)
    encode = _ENCODED[column.kind]
    known = [value for value in values if value is not None]
    return len(levels).to_bytes(4, "little") + levels + encode(known)


def _bits(flags: Sequence[bool], groups: int) -> bytes:
    made = bytearray(groups)
    for number, flag in enumerate(flags):
        if flag:
            made[number >> 3] |= 1 << (number & 7)
    return bytes(made)


def _texts(values: Iterable[Value]) -> bytes:
    encoded = (str(value).encode("utf-8", "replace") for value in values)
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def _integers(values: Iterable[Value]) -> bytes:
    return b"".join(int(value or 0).to_bytes(8, "little", signed=True) for value in values)


def _amounts(values: Iterable[Value]) -> bytes:
    return b"".join(int(value or 0).to_bytes(_WIDTH, "big", signed=True) for value in values)


def _flags(values: Sequence[Value]) -> bytes:
    return _bits([bool(value) for value in values], -(-len(values) // 8))


_ENCODED: dict[ColumnKind, Callable[[Sequence[Value]], bytes]] = {
    ColumnKind.TEXT: _texts,
    ColumnKind.COUNT: _integers,
    ColumnKind.CENTS: _amounts,
    ColumnKind.TIME: _integers,
    ColumnKind.FLAG: _flags,
}
_PHYSICAL = {
    ColumnKind.TEXT: _BYTES,
    ColumnKind.COUNT: _INT64,
    ColumnKind.CENTS: _FIXED,
    ColumnKind.TIME: _INT64,
    ColumnKind.FLAG: _BOOL,
}


def _element(column: Column) -> bytes:
    """Return the SchemaElement of a column: its physical type, and what it means."""
    meaning: list[tuple[int, int, bytes]] = []
    if column.kind is ColumnKind.TEXT:
        meaning = [(6, _I32, _number(0)), (10, _STRUCT, _struct((1, _STRUCT, _struct())))]
    elif column.kind is ColumnKind.CENTS:
        decimal = _struct((1, _I32, _number(DECIMALS)), (2, _I32, _number(DIGITS)))
        meaning = [(6, _I32, _number(5)), (7, _I32, _number(DECIMALS)), (8, _I32, _number(DIGITS))]
        meaning.append((10, _STRUCT, _struct((5, _STRUCT, decimal))))
    elif column.kind is ColumnKind.TIME:
        unit = _struct((1, _STRUCT, _struct()))
        moment = _struct((1, _TRUE, b""), (2, _STRUCT, unit))
        meaning = [(6, _I32, _number(9)), (10, _STRUCT, _struct((8, _STRUCT, moment)))]
    width = [(2, _I32, _number(_WIDTH))] if column.kind is ColumnKind.CENTS else []
    named = [(3, _I32, _number(1)), (4, _BINARY, _binary(column.name))]
    return _struct((1, _I32, _number(_PHYSICAL[column.kind])), *width, *named, *meaning)


def _column_meta(column: Column, chunk: _Chunk) -> bytes:
    sizes = [_number(chunk.rows), _number(chunk.size), _number(chunk.packed)]
    return _struct(
        (1, _I32, _number(_PHYSICAL[column.kind])),
        (2, _LIST, _list(_I32, [_number(_PLAIN), _number(_RLE)])),
        (3, _LIST, _list(_BINARY, [_binary(column.name)])),
        (4, _I32, _number(_GZIP)),
        *((id, _I64, size) for id, size in enumerate(sizes, 5)),
        (9, _I64, _number(chunk.offset)),
    )


def _page_header(values: int, size: int, packed: int) -> bytes:
    data = _struct(
        (1, _I32, _number(values)), (2, _I32, _number(_PLAIN)), (3, _I32, _number(_RLE)), (4, _I32, _number(_RLE))
    )
    return _struct((1, _I32, _number(0)), (2, _I32, _number(size)), (3, _I32, _number(packed)), (5, _STRUCT, data))


def _struct(*fields: tuple[int, int, bytes]) -> bytes:
    """Return a struct of (field id, type, encoded value), in the order of the ids."""
    made, last = [], 0
    for id, kind, value in fields:
        made.append(bytes([(id - last) << 4 | kind]) + value)
        last = id
    return b"".join(made) + b"\0"


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + _varint(len(items))
    return head + b"".join(items)


def _binary(text: str) -> bytes:
    encoded = text.encode()
    return _varint(len(encoded)) + encoded


def _number(value: int) -> bytes:
    """Return a number that is not negative, as zigzag."""
    return _varint(value << 1)


def _varint(value: int) -> bytes:
    made = bytearray()
    while value >= 0x80:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])
