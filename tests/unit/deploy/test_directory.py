"""The data directory of a `rev up`: one owner, private secrets, ports that stay."""

import os
import random
import socket
from pathlib import Path

import pytest

from deploy.supervisor import directory, plan
from schemas.settings import SettingError


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    """A second `rev up` on the same directory is refused with a sentence that names the first."""
    with directory.owned(tmp_path):
        assert directory.is_owned(tmp_path)
        with pytest.raises(directory.Occupied, match=rf"pid {os.getpid()}\); stop it first"), directory.owned(tmp_path):
            raise AssertionError("two owners")
    assert not directory.is_owned(tmp_path)
    with directory.owned(tmp_path):
        pass


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    """The admin token stays the same over restarts, and nobody else on the machine can read it."""
    file = tmp_path / "admin.token"
    made = directory.kept_secret(file)
    assert len(made) >= 32 and directory.kept_secret(file) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert directory.kept_secret(file, "given") == "given" == directory.kept_secret(file)


def test_ports_are_chosen_once(tmp_path: Path) -> None:
    """Port 0 is the same free port at every start; a number that is given wins."""
    wanted = {"http": 0, "kafka": 0}
    first = plan.choose_ports(tmp_path, wanted, random.Random(1))
    assert len(set(first.values())) == 2
    assert plan.choose_ports(tmp_path, wanted, random.Random(2)) == first


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port that another process listens on is refused before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            SettingError, match=f"port {port} for http is in use by another process; 0 picks a free one"
        ):
            plan.choose_ports(tmp_path, {"http": port}, random.Random(1))


def test_a_process_is_told_from_its_pids_next_owner() -> None:
    """A pid alone may be somebody else's by now; with its birth it is not."""
    assert directory.birth(os.getpid()) is not None
    directory.end_orphan({"pids": {"me": os.getpid()}, "births": {"me": 1}})  # not me: returns at once


def test_half_a_cluster_is_refused() -> None:
    """Only one of the two addresses set would start a mixture; the sentence names both."""
    assert plan.is_embedded({})
    assert not plan.is_embedded({"REV_KAFKA": "k:9092", "REV_CLICKHOUSE_URL": "http://c:8123"})
    with pytest.raises(SettingError, match="only REV_KAFKA is set"):
        plan.is_embedded({"REV_KAFKA": "k:9092"})
