"""Validation as properties: what is accepted is normalized, anything else is an Invalid."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.json_objects import json_object
from ingest.problems import Invalid
from ingest.rates import rate
from ingest.validation import MANY_OBJECTS, TimeBounds, decode_batch, decode_event, event_of
from schemas import times
from schemas.commands import MeterEvent
from schemas.limits import MAX_DEPTH, MAX_EVENTS
from schemas.money import MAX_RATE, format_cents, parse_cents
from schemas.objects import iso

BOUNDS = TimeBounds(1_777_204_800_000, 35 * 86_400_000)
tokens = st.none() | st.integers(0, 1000)


def normalized(body: bytes) -> MeterEvent:
    return event_of(decode_event(body), None, BOUNDS)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_an_event_or_invalid(body: bytes) -> None:
    """No other exception leaves the validation, whatever the bytes."""
    with pytest.raises(Invalid) as refused:
        normalized(body)
    assert refused.value.error


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "agent_id",
    "action",
    "tokens",
    "tokens_in",
    "outcome",
    "expires_at",
    "on_expiry",
    "metadata",
    "timestamp",
    "x",
)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6))
def test_any_values_in_any_field_are_an_event_or_invalid(fields: dict[str, object]) -> None:
    """Types are checked field by field, and what passes is as it was sent."""
    body = {"agent_id": "a", "action": "chat", **fields}
    try:
        event = normalized(json.dumps(body).encode())
    except Invalid as refused:
        assert refused.error
    else:
        assert (event.agent_id, event.action) == (body["agent_id"], body["action"])
        assert isinstance(event.tokens, int) and not isinstance(event.tokens, bool)


@given(tokens, tokens, tokens, tokens, tokens)
def test_token_spellings_agree_or_are_refused(
    total: int | None, a: int | None, b: int | None, c: int | None, d: int | None
) -> None:
    """The total that is charged is the one that every given spelling says."""
    names = ("tokens", "tokens_input", "tokens_output", "tokens_in", "tokens_out")
    body = {"agent_id": "a", "action": "chat", **dict(zip(names, (total, a, b, c, d), strict=True))}
    split = [value for value in (a, b, c, d) if value is not None]
    agree = (a is None or c is None or a == c) and (b is None or d is None or b == d)
    wanted = (a if a is not None else c or 0) + (b if b is not None else d or 0) if split else total or 0
    if agree and (total is None or total == wanted):
        event = normalized(json.dumps(body).encode())
        assert event.tokens == wanted
        assert (event.tokens_input is None) == (not split)
    else:
        with pytest.raises(Invalid, match="tokens"):
            normalized(json.dumps(body).encode())


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9998, 1, 1)),  # noqa: DTZ001 (the strategy wants naive bounds)
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_times_survive_any_offset_to_the_millisecond(moment: datetime, zone: timezone) -> None:
    """What is parsed is shown in UTC with the same milliseconds."""
    aware = moment.replace(tzinfo=zone)
    at = times.parse(aware.isoformat())
    expected = aware.astimezone(UTC)
    assert iso(at) == expected.strftime("%Y-%m-%dT%H:%M:%S.") + f"{expected.microsecond // 1000:03d}Z"
    assert times.parse(iso(at)) == at


@given(st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?", fullmatch=True))
def test_z_is_the_offset_zero(text: str) -> None:
    """The short way for times with Z reads and refuses what the way for every offset does."""
    assert _read(text + "Z") == _read(text + "+00:00").replace("+00:00", "Z")


def _read(text: str) -> str:
    try:
        return str(times.parse(text))
    except times.TimeError as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-04-26", "2026-04-26T12:00:00", "2026-W17-7T12:00:00Z", "2026-13-01T00:00:00Z",
     "2026-04-26T25:00:00Z", "2026-04-26 12:00:00Z", "٢٠٢٦-04-26T12:00:00Z", "2026-04-26T12:00:00+99:00",
     "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-00:01"],
)  # fmt: skip
def test_what_is_no_time_with_an_offset_is_refused(text: str) -> None:
    """Naive, impossible, other forms of ISO 8601, other digits, outside of the years that there are in UTC."""
    with pytest.raises(times.TimeError):
        times.parse(text)


@given(st.integers(0, MAX_RATE), st.booleans())
def test_a_rate_is_exact_as_a_number_or_as_text(pico: int, quoted: bool) -> None:
    """Every rate that Rev can hold comes through with every digit."""
    text = format_cents(pico)
    raw = msgspec.Raw((f'"{text}"' if quoted else text).encode())
    assert parse_cents(rate("base_rate_cents", raw)) == pico


@given(st.decimals(0, 10**9, allow_nan=False))
def test_a_rate_is_never_rounded(value: Decimal) -> None:
    """More than 12 decimals are refused, naming the field."""
    try:
        text = rate("base_rate_cents", msgspec.Raw(str(value).encode()))
    except Invalid as refused:
        assert refused.error.startswith("base_rate_cents")
    else:
        assert Decimal(text) == value


@pytest.mark.parametrize(
    "text",
    ["0.0000000000001", '"0.1234567890123"', "-1", "1000000000.000000000001", "1e10", "1e999999999", "1e-999999999",
     "true", "[]", '"NaN"', '"Infinity"', '"1_0"', '" 1"', '""', '"\\u0031"', "9" * 5000, "0." + "0" * 5000 + "1"],
)  # fmt: skip
def test_what_is_no_rate_is_refused_by_name(text: str) -> None:
    """13 decimals, negative, too large, not a number, tricks of spelling."""
    with pytest.raises(Invalid, match=r"^token_rate_cents "):
        rate("token_rate_cents", msgspec.Raw(text.encode()))


@given(st.integers(1, 80))
def test_objects_may_be_nested_to_the_limit_and_not_deeper(levels: int) -> None:
    """Depth counts objects and lists."""
    text = b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}" if levels > 1 else b"{}"
    if levels <= MAX_DEPTH:
        assert bytes(json_object("metadata", msgspec.Raw(text))) == text
    else:
        with pytest.raises(Invalid, match="nested"):
            json_object("metadata", msgspec.Raw(text))


@pytest.mark.parametrize("tail", [b"]}", b'],"x":1}', b"]}x"])
def test_events_beyond_number_are_not_made(tail: bytes) -> None:
    """A small gzip body of a million empty events takes no memory for them: they are counted first."""
    count = 100_000
    body = b'{"events":[' + b",".join([b"{}"] * count) + tail
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            decode_batch(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * count  # an event takes more than 150 bytes, its text in the body 3


def test_a_batch_may_hold_many_objects() -> None:
    """Objects within metadata are no events, however many there are."""
    metadata: dict[str, list[object]] = {"a": [{}] * (2 * MANY_OBJECTS // MAX_EVENTS)}
    events = [{"agent_id": "a", "action": "chat", "metadata": metadata}] * MAX_EVENTS
    assert len(decode_batch(json.dumps({"events": events}).encode()).events or ()) == MAX_EVENTS
