"""What a caller's values become as JSON: the same value, or an error; never silently another."""

import enum
import json
import types
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revgrid import calls
from revgrid.models import Event
from revgrid.reading import read
from revgrid.writing import DEEPEST
from tests.unit.sdk.scripted import answer


class Level(enum.IntEnum):
    HIGH = 3


class Colour(enum.StrEnum):
    RED = "red"


class Tier(enum.Enum):
    GOLD = "gold"


def metadata_text(value: Any) -> str:
    """The JSON of one value of a metadata."""
    sent = calls.meter(agent_id="a", action="b", metadata={"x": value}).body
    assert sent is not None
    prefix, suffix = '{"agent_id":"a","action":"b","metadata":{"x":', "}}"
    text = sent.decode()
    assert text.startswith(prefix) and text.endswith(suffix)
    return text[len(prefix) : -len(suffix)]


KEPT = [
    (Decimal("0.10"), "0.10"),
    (Decimal("12345678901234567890.123456789012"), "12345678901234567890.123456789012"),
    (Decimal("1E+5"), "1E+5"),
    (Decimal("1E-9"), "1E-9"),
    (Decimal("-0.0"), "-0.0"),
    (Decimal(7), "7"),
    (0.1, "0.1"),
    (1e300, "1e+300"),
    (10**30, "1" + "0" * 30),
    (True, "true"),
    (None, "null"),
    ("0.10", '"0.10"'),
    (Level.HIGH, "3"),
    (Colour.RED, '"red"'),
    (np.int64(5), "5"),
    (np.float64(0.25), "0.25"),
    (datetime(2027, 1, 2, tzinfo=UTC), '"2027-01-02T00:00:00+00:00"'),
    ((1, Decimal("2.5")), "[1,2.5]"),
    (types.MappingProxyType({"a": {"b": Decimal("1.5")}}), '{"a":{"b":1.5}}'),
    ([], "[]"),
    ({}, "{}"),
]
REFUSED = [
    (Decimal("NaN"), ValueError, "metadata.x is NaN"),
    (Decimal("sNaN"), ValueError, "metadata.x is sNaN"),
    (Decimal("-Infinity"), ValueError, "metadata.x is -Infinity"),
    (float("nan"), ValueError, "metadata.x is nan"),
    (float("inf"), ValueError, "metadata.x is inf"),
    ([{"y": float("-inf")}], ValueError, r"metadata.x\[0\].y is -inf"),
    (datetime(2027, 1, 2, tzinfo=UTC).replace(tzinfo=None), ValueError, "time zone"),
    ({1}, TypeError, "metadata.x is a set"),
    (b"text", TypeError, "metadata.x is a bytes"),
    (object(), TypeError, "metadata.x is a object"),
    (Fraction(1, 3), TypeError, "metadata.x is a Fraction"),
    (1j, TypeError, "metadata.x is a complex"),
    (date(2027, 1, 2), TypeError, "metadata.x is a date"),
    (UUID(int=1), TypeError, "metadata.x is a UUID"),
    (Tier.GOLD, TypeError, "metadata.x is a Tier"),
    (np.float32(0.1), TypeError, "metadata.x is a float32"),
    ((n for n in range(2)), TypeError, "metadata.x is a generator"),
    ({1: "one"}, TypeError, "metadata.x has the key 1; keys must be strings"),
    ({None: 1}, TypeError, "metadata.x has the key None"),
    ({Decimal("1.5"): 1}, TypeError, "metadata.x has the key Decimal"),
    ({("a", "b"): 1}, TypeError, "metadata.x has the key"),
]


@pytest.mark.parametrize(("value", "text"), KEPT, ids=[repr(value)[:40] for value, _ in KEPT])
def test_what_json_can_say_is_sent_as_it_is(value: Any, text: str) -> None:
    """A Decimal is a number with its own digits, not text."""
    assert metadata_text(value) == text
    assert json.loads(text) is not ...


@pytest.mark.parametrize(("value", "error", "told"), REFUSED, ids=[repr(value)[:40] for value, _, _ in REFUSED])
def test_what_json_cannot_say_is_refused_with_its_place(value: Any, error: type[Exception], told: str) -> None:
    """Before anything is sent, in every body that a caller fills."""
    with pytest.raises(error, match=told):
        metadata_text(value)
    for make in (
        lambda: calls.meter_batch([{"agent_id": "a", "action": "b", "metadata": {"x": value}}]),
        lambda: calls.resolve_outcome("t", success=True, evidence={"x": value}),
        lambda: calls.register_outcome(
            task_id="t",
            agent_id="a",
            price_on_success=1,
            expires_at="2027-01-01T00:00:00Z",
            success_criteria={"x": value},
        ),
    ):
        with pytest.raises(error):
            make()


def test_the_place_names_the_event_of_a_batch() -> None:
    with pytest.raises(ValueError, match=r"events\[1\].tokens is nan"):
        calls.meter_batch([{"agent_id": "a"}, {"agent_id": "a", "tokens": float("nan")}])


def test_tokens_may_be_a_whole_decimal() -> None:
    """As a number; text would be refused by Rev."""
    sent = calls.meter(agent_id="a", action="b", tokens=Decimal(5)).body  # type: ignore[arg-type]
    assert sent == b'{"agent_id":"a","action":"b","tokens":5}'


def test_what_contains_itself_is_refused() -> None:
    itself: dict[str, Any] = {}
    itself["again"] = [itself]
    with pytest.raises(ValueError, match="nested too deeply, or contains itself"):
        metadata_text(itself)
    deep: Any = 1
    for _ in range(DEEPEST - 2):
        deep = [deep]
    assert metadata_text(deep).startswith("[[")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_json_is_what_the_standard_library_writes(value: Any) -> None:
    assert metadata_text(value) == json.dumps(value, separators=(",", ":"))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_comes_back_equal(value: Decimal) -> None:
    """As a float where one says the same, else as the Decimal; its digits are never lost."""
    text = metadata_text(value)
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == value
    shown = read(Event, answer(200, f'{{"event_id": 1, "status": "priced", "metadata": {{"x": {text}}}}}'.encode()))
    assert shown.metadata is not None
    back = shown.metadata["x"]
    assert Decimal(repr(back)) == value if isinstance(back, float) else back == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_the_same_float(value: float) -> None:
    shown = read(
        Event,
        answer(200, f'{{"event_id": 1, "status": "priced", "metadata": {{"x": {metadata_text(value)}}}}}'.encode()),
    )
    assert shown.metadata is not None and shown.metadata["x"] == value and type(shown.metadata["x"]) is float
