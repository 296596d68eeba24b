"""What one cell may say."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.limits import DAY
from schemas.objects import iso
from tools.importer.cells import CsvCells, JsonCells, name, own_key, whole
from tools.importer.timestamps import Times, zone_of

NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize("text", ["2400.0", "2,400", "1e3", "", "-1", "+1", "0x10", "1000000000001", "12 3", "٣"])
def test_a_token_count_is_a_whole_number(text: str) -> None:
    """Anything but the digits of 0 to 10^12 is refused, never rounded."""
    with pytest.raises(ValueError):
        whole(text)


@given(st.integers(0, 10**12))
def test_every_whole_number_is_read_as_it_is(number: int) -> None:
    """What is written in digits is what is billed, in both formats."""
    assert CsvCells().whole(str(number)) == number
    assert JsonCells().whole(msgspec.Raw(str(number).encode())) == number


@pytest.mark.parametrize("cell", [b'"2400"', b"2400.0", b"true", b"[1]", b"1e2"])
def test_json_lines_want_json_integers(cell: bytes) -> None:
    """A count that is a string, a float or anything else is a bad cell."""
    with pytest.raises(ValueError):
        JsonCells().whole(msgspec.Raw(cell))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31 12:00:00.1239600", NOON + 123),
        ("2026-01-31T12:00:00,5+00:00", NOON + 500),
        ("2026-01-31T14:00+02:00", NOON),
        ("2026-01-31T14:00:00+0200", NOON),
        ("2026-01-31T14:00:00+02", NOON),
        ("2026-01-31 12:00:00 UTC", NOON),
        ("2026-01-31", NOON - 12 * 3_600_000),
        (str(NOON // 1000), NOON),
        (f"{NOON // 1000}.25", NOON + 250),
        (str(NOON), NOON),
        (str(NOON * 1000), NOON),
        (str(NOON * 1_000_000), NOON),
    ],
)
def test_times_as_files_write_them(text: str, at: int) -> None:
    """ISO 8601 in its common spellings and epoch numbers of four units are understood."""
    assert moment(text, UTC) == at


def moment(text: str, zone: tzinfo) -> int:
    return Times(NOON + 300 * DAY, zone).read(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30 12:00:00", "2026-01-31T25:00:00Z", "", "31/01/2026"])
def test_what_is_no_time_is_refused(text: str) -> None:
    """A time that does not exist is a bad cell."""
    with pytest.raises(ValueError):
        moment(text, UTC)


def test_a_time_without_offset_is_in_the_given_zone() -> None:
    """--tz moves naive times only."""
    assert moment("2026-01-31 13:00:00", ZoneInfo("Europe/Berlin")) == NOON
    assert moment("2026-01-31 12:00:00Z", ZoneInfo("Europe/Berlin")) == NOON
    assert moment("2026-01-31 10:00:00", zone_of("-02:00")) == NOON


def test_an_unknown_zone_is_refused() -> None:
    """--tz takes a known name or an offset."""
    with pytest.raises(ValueError, match="Nowhere"):
        zone_of("Mars/Nowhere")


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_survives_being_written_and_read(at: int) -> None:
    """iso is the inverse of moment."""
    assert moment(iso(at), zone_of("+05:30")) == at
    assert moment((datetime(1970, 1, 1) + timedelta(milliseconds=at)).isoformat(), UTC) == at  # noqa: DTZ001


SHAPES = st.from_regex(
    r"2026-0[1-4]-(01|31)[T ]0[0-4](:[0-6][0-9]){1,2}([.,][0-9]{1,3})?( ?(Z|UTC|[+]02))?", fullmatch=True
)


@settings(max_examples=40)
@given(st.lists(SHAPES, min_size=2, max_size=8))
def test_a_time_is_read_alike_whatever_was_read_before(texts: list[str]) -> None:
    """What is remembered of earlier rows changes no time, and no count of local times."""
    zone = ZoneInfo("Europe/Berlin")
    shared = Times(NOON + 300 * DAY, zone)
    for text in [*texts, *texts]:
        alone, before = Times(NOON + 300 * DAY, zone), shared.local
        assert _read(shared, text) == _read(alone, text)
        assert shared.local - before == alone.local


def _read(times: Times, text: str) -> int | str:
    try:
        return times.read(text)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("0001-01-01T00:00:00", "Europe/Berlin"),
        ("0001-01-01 00:00:00+02:00", "UTC"),
        ("9999-12-31T23:59:59-02:00", "UTC"),
    ],
)
def test_a_time_outside_of_all_years_is_a_bad_cell(text: str, zone: str) -> None:
    """The empty date of some exporters, read in a zone ahead of UTC, costs its row and not the import."""
    with pytest.raises(ValueError, match="not a time that exists"):
        moment(text, zone_of(zone))
    assert iso(moment(text[:19], UTC))[:19] == text[:19].replace(" ", "T")


@pytest.mark.parametrize("text", ["", "x" * 257, "a\nb", "a\x7fb", "a\x85b"])
def test_names_are_bounded(text: str) -> None:
    """1 to 256 characters without control characters."""
    with pytest.raises(ValueError):
        name(text)
    assert name("ünï" * 80) == "ünï" * 80


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("20261120", "write it that way"), ("202611201200", "write it that way"), ("45982", "--excel-dates"),
        ("45982.5", "--excel-dates"), ("0", "not a Unix time"), ("1", "not a Unix time"),
        ("978307199", "not a Unix time"),
        ("9" * 20, "not a Unix time"), ("2958465", "not a Unix time"), ("4102444800", "not a Unix time"),
        ("-5", "not a time"),
        ("1.77E+09", "shortened"), ("1.7e12", "shortened"),
    ],
)  # fmt: skip
def test_a_number_that_is_no_plausible_epoch_is_refused(text: str, hint: str) -> None:
    """Neither 1970 nor 2612: from 2001 to a year ahead, in whichever unit; what it may be is said."""
    with pytest.raises(ValueError, match=hint):
        moment(text, UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [("978307200", "2001-01-01T00:00:00.000Z"), ("978307200000", "2001-01-01T00:00:00.000Z"),
     ("1764158400.5", "2025-11-26T12:00:00.500Z"), ("1764158400000000000", "2025-11-26T12:00:00.000Z")],
)  # fmt: skip
def test_a_plausible_epoch_is_read_in_its_unit(text: str, at: str) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds cannot be taken for one another within these years."""
    assert iso(moment(text, UTC)) == at


def test_a_serial_date_is_read_only_when_told() -> None:
    """A spreadsheet's day number, in the zone of --tz, with its fraction of a day."""
    times = Times(NOON + 300 * DAY, zone_of("+02:00"), serials=True)
    assert iso(times.read("46053.5")) == "2026-01-31T10:00:00.000Z"
    assert iso(times.read("46053")) == "2026-01-30T22:00:00.000Z"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
def test_an_hour_that_the_clocks_skip_or_repeat_is_not_guessed(zone: str) -> None:
    """The skipped hour is no time; the repeated one wants --dst, and each of both is right."""
    skipped, repeated, first, second = {
        "Europe/Berlin": ("2026-03-29 02:30", "2025-10-26 02:30", "2025-10-26T00:30", "2025-10-26T01:30"),
        "America/New_York": ("2026-03-08 02:30", "2025-11-02 01:30", "2025-11-02T05:30", "2025-11-02T06:30"),
        "Australia/Sydney": ("2025-10-05 02:30", "2026-04-05 02:30", "2026-04-04T15:30", "2026-04-04T16:30"),
    }[zone]
    for dst in (None, "earlier", "later"):
        with pytest.raises(ValueError, match="does not exist"):
            Times(NOON + 300 * DAY, zone_of(zone), dst).read(skipped)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="--dst"):
        moment(repeated, zone_of(zone))
    read = [iso(Times(NOON + 300 * DAY, zone_of(zone), dst).read(repeated))[:16] for dst in ("earlier", "later")]  # type: ignore[arg-type]
    assert read == [first, second]
    assert moment(repeated + "+00:00", zone_of(zone)) == moment(repeated + "Z", UTC)


@pytest.mark.parametrize("text", ["1.77E+12", "9e5", "a#undo1", ""])
def test_what_cannot_be_an_id(text: str) -> None:
    """A number that a spreadsheet has shortened stands for many ids; our own suffix is ours."""
    with pytest.raises(ValueError):
        own_key(text)
