"""schemas.settings: read once, with units, and loud about what cannot be used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.limits import DAY
from schemas.settings import UNITS, SettingError, duration, read


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing needs to be set on one machine."""
    settings = read({})
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.partitions == 4
    assert settings.idempotency_window == 35 * DAY
    assert settings.outcome_ttl == 30 * DAY
    assert settings.reply_timeout == 2000
    assert not settings.open_admin
    assert not settings.public_dashboard


def test_an_empty_value_is_the_default() -> None:
    """``REV_PARTITIONS=`` in an env file means nothing was chosen."""
    assert read({"REV_PARTITIONS": "", "REV_REPLY_TIMEOUT": ""}) == read({})


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)))
def test_durations_have_units(number: int, unit: str) -> None:
    """A duration is its number times its unit, in ms."""
    assert duration("REV_X", f"{number}{unit}") == number * UNITS[unit]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REV_REPLY_TIMEOUT", "2"),
        ("REV_REPLY_TIMEOUT", "-2s"),
        ("REV_REPLY_TIMEOUT", "1.5s"),
        ("REV_IDEMPOTENCY_WINDOW", "35 d"),
        ("REV_IDEMPOTENCY_WINDOW", "36d"),
        ("REV_PARTITIONS", "0"),
        ("REV_PARTITIONS", "65"),
        ("REV_PARTITIONS", "four"),
        ("REV_HTTP_PORT", "65536"),
        ("REV_OPEN_ADMIN", "true"),
        ("REV_PUBLIC_DASHBOARD", "no"),
        ("REV_CLICKHOUSE_URL", "clickhouse"),
        ("REV_CLICKHOUSE_URL", "http://clickhouse:http"),
        ("REV_CLICKHOUSE_URL", "clickhouse:8123"),
        ("REV_SECRET_KEY", "short"),
        ("REV_SECRET_KEY", "!" * 44),
    ],
)
def test_a_value_that_cannot_be_used_names_its_variable(name: str, value: str) -> None:
    """Whoever misspells a setting is told which one, and nothing starts."""
    with pytest.raises(SettingError, match=name) as told:
        read({name: value})
    assert name != "REV_SECRET_KEY" or value not in str(told.value)
