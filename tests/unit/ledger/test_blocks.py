"""Blocks: what goes into one INSERT."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.blocks import Block, Builder, LogRecord, fill
from schemas.entries import Entry, EntryRecord, encode
from schemas.months import month_around


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def test_month_around_holds_the_time() -> None:
    """A month is a half-open range of UTC milliseconds, also over the end of a year."""
    assert month_around(ms("2026-12-31T23:59:59")) == (ms("2026-12-01"), ms("2027-01-01"))
    assert month_around(ms("2027-01-01")) == (ms("2027-01-01"), ms("2027-02-01"))
    assert month_around(ms("2028-02-29T12:00:00") + 999) == (ms("2028-02-01"), ms("2028-03-01"))


@given(st.integers(0, 4_000_000_000_000))
def test_month_around_is_the_calendar_month(timestamp: int) -> None:
    """Every time lies in its own month, whose first instant has the same year and month."""
    first, following = month_around(timestamp)
    assert first <= timestamp < following
    day = datetime.fromtimestamp(first // 1000, UTC)
    when = datetime.fromtimestamp(timestamp // 1000, UTC)
    assert (day.year, day.month, day.day) == (when.year, when.month, 1)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 90 * 86_400_000), st.integers(0, 400)), max_size=60),
    st.integers(1, 5),
    st.integers(100, 1000),
)
def test_blocks_cover_the_log_in_order(steps: list[tuple[int, int, int]], max_rows: int, max_bytes: int) -> None:
    """However the log is cut, the blocks follow each other, hold every record once, and each has one month."""
    offset, records = 0, []
    for gap, timestamp, size in steps:
        offset += gap
        records.append(LogRecord(offset, timestamp, b'{"kind":"' + b"x" * size))
    builder, blocks, rest = Builder(-1, max_rows, max_bytes), [], records
    while rest:
        rest = rest[fill(builder, rest) :]
        if rest:
            blocks.append(builder.take())
    if len(builder):
        blocks.append(builder.take())
    assert [record for block in blocks for record in block.records] == records
    assert [block.after for block in blocks] == [-1, *(block.last for block in blocks)][: len(blocks)]
    assert all(len({month_around(record.timestamp) for record in block.records}) == 1 for block in blocks)
    assert all(len(block.records) <= max_rows for block in blocks)


def test_a_record_of_any_size_goes_through() -> None:
    """A record above the bounds makes a block of its own instead of none."""
    builder = Builder(6, max_rows=1, max_bytes=10)
    assert builder.add(LogRecord(7, 0, b"x" * 100))
    assert not builder.add(LogRecord(8, 0, b"x"))
    assert builder.take() == Block(6, (LogRecord(7, 0, b"x" * 100),))


def test_an_offset_must_follow() -> None:
    """A record at or below the last one is a fault of the caller, never written."""
    builder = Builder(6)
    with pytest.raises(ValueError, match="does not follow 6"):
        builder.add(LogRecord(6, 0, b"{}"))


def test_lines_splice_the_offset_into_the_value_verbatim() -> None:
    """A line is the value byte for byte, with its offset as the first member."""
    block = Block(1, (LogRecord(2, 0, b'{"a":{"b": 1.00}}'), LogRecord(5, 0, b'{"c":"\\u00e9"}')))
    assert block.lines() == b'{"entries_offset":2,"a":{"b": 1.00}}\n{"entries_offset":5,"c":"\\u00e9"}\n'


def test_rows_are_counted_as_the_codec_writes_them() -> None:
    """The bound on rows sees every entry of a record that schemas.entries encoded."""
    value = encode(EntryRecord("acme", 1, 2, [Entry("event", index=index) for index in range(7)]))
    builder = Builder(-1, max_rows=7)
    builder.add(LogRecord(0, 0, value))
    assert builder.full


@given(st.integers(2, 50))
def test_halves_are_the_block(count: int) -> None:
    """Halving a block gives two blocks that follow each other."""
    block = Block(9, tuple(LogRecord(10 + 2 * index, 0, b"{}") for index in range(count)))
    first, second = block.halves()
    assert first.records + second.records == block.records
    assert (first.after, second.after) == (9, first.last)
    assert first.records and second.records
