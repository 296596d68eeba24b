"""The broker's settings and which Java runs it."""

import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.kafka import broker
from deploy.kafka.java import java, major_version
from schemas.limits import MAX_MESSAGE
from schemas.settings import SettingError


def test_the_broker_is_reachable_from_this_machine_only() -> None:
    """Every listener, and the address told to clients, is the loopback address."""
    found = broker.properties(Path("log"), 9092, 9093)
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_what_is_acknowledged_is_flushed_and_every_command_fits() -> None:
    """Each record is flushed before it is acknowledged, and the largest message passes everywhere."""
    found = broker.properties(Path("log"), 9092, 9093)
    assert found["log.flush.interval.messages"] == "1"
    assert int(found["message.max.bytes"]) == int(found["replica.fetch.max.bytes"]) == MAX_MESSAGE


def test_a_port_is_chosen_once(tmp_path: Path) -> None:
    """Port 0 is a free port that the directory keeps, so that clients find the broker again."""
    (tmp_path / "log").mkdir()  # formatted: nothing is run
    first, argv = broker.prepare(tmp_path, 0, ["java"], random.Random(1))
    again, _ = broker.prepare(tmp_path, 0, ["java"], random.Random(2))
    assert first == again and argv == ["java", "kafka.Kafka", str(tmp_path / "server.properties")]
    assert f"advertised.listeners=PLAINTEXT://127.0.0.1:{first}\n" in (tmp_path / "server.properties").read_text()


@given(st.integers(9, 99), st.integers(0, 99))
def test_the_major_version_is_read(major: int, minor: int) -> None:
    """Both the old (1.8) and the present numbering of Java are understood."""
    assert major_version(f'openjdk version "{major}.{minor}.1" 2025-04-15') == major
    assert major_version('java version "1.8.0_292"') == 8


def test_the_wheels_java_is_the_default() -> None:
    """Nothing but the installed packages is needed to run the broker."""
    assert java({}).is_file()


def test_a_java_that_is_none_is_refused(tmp_path: Path) -> None:
    """REV_JAVA that cannot run, or is no Java, is one clear sentence."""
    with pytest.raises(SettingError, match=r"REV_JAVA=.*cannot be run"):
        java({"REV_JAVA": str(tmp_path / "nothing")})
    with pytest.raises(SettingError, match="found no version of Java, want Java 17 or later"):
        java({"REV_JAVA": sys.executable})
