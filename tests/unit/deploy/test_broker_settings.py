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

CHOSEN = broker.Choice(port=9092, controller=9093, cluster="c")


def test_the_broker_is_reachable_from_this_machine_only() -> None:
    """Every listener, and the address told to clients, is the loopback address."""
    found = broker.properties(Path("log"), CHOSEN, "broker")
    assert found["listeners"] == found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert broker.properties(Path("log"), CHOSEN, "controller")["listeners"] == "CONTROLLER://127.0.0.1:9093"


@pytest.mark.parametrize("roles", [("broker",), ("controller",), broker.ROLES])
def test_every_node_knows_the_one_that_votes(roles: tuple[broker.Role, ...]) -> None:
    """The quorum is the node that has the controller's role, at the address on which it listens."""
    found = broker.properties(Path("log"), CHOSEN, *roles)
    votes = broker.properties(Path("log"), CHOSEN, *(roles if "controller" in roles else ("controller",)))
    assert found["controller.quorum.voters"] == f"{votes['node.id']}@127.0.0.1:9093"
    assert "CONTROLLER://127.0.0.1:9093" in votes["listeners"]


@pytest.mark.parametrize("role", broker.ROLES)
def test_what_is_acknowledged_is_flushed_and_every_command_fits(role: broker.Role) -> None:
    """Each record is flushed before it is acknowledged, and the largest message passes everywhere."""
    found = broker.properties(Path("log"), CHOSEN, role)
    assert found["log.flush.interval.messages"] == "1"
    assert int(found["message.max.bytes"]) == int(found["replica.fetch.max.bytes"]) == MAX_MESSAGE


def test_ports_and_cluster_are_chosen_once(tmp_path: Path) -> None:
    """Port 0 is a free port that the directory keeps, so that clients find the broker again; so is the cluster."""
    first = broker.choose(tmp_path, 0, random.Random(1))
    assert broker.choose(tmp_path, 0, random.Random(2)) == first


def test_a_formatted_directory_is_only_configured(tmp_path: Path) -> None:
    """A start of what is formatted runs no tool, and the settings are those of the ports of this time."""
    (tmp_path / "broker").mkdir()
    argv = broker.prepare(tmp_path, CHOSEN, ["java", "-cp", "jars"], "broker")
    settings = tmp_path / "broker.properties"
    assert argv == ["java", *broker.HEAP["broker"], "-cp", "jars", "kafka.Kafka", str(settings)]
    assert "advertised.listeners=PLAINTEXT://127.0.0.1:9092\n" in settings.read_text()


def test_a_directory_of_the_old_layout_is_refused(tmp_path: Path) -> None:
    """What was written when broker and controller were one process is not silently left aside."""
    (tmp_path / "log").mkdir()
    with pytest.raises(SettingError, match="use an empty directory"):
        broker.choose(tmp_path, 0, random.Random(1))


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
    with pytest.raises(SettingError, match=r"REV_JAVA must be an executable; .* cannot be run"):
        java({"REV_JAVA": str(tmp_path / "nothing")})
    with pytest.raises(SettingError, match=r"REV_JAVA must be Java 17 or later; .* is not Java"):
        java({"REV_JAVA": sys.executable})
