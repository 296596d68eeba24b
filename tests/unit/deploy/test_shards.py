"""How many partitions a new embedded log gets."""

from pathlib import Path

import pytest

from deploy.supervisor import plan
from schemas.settings import read


@pytest.mark.parametrize(("cores", "made"), [(1, 1), (2, 2), (3, 3), (4, 4), (64, 4)])
def test_a_new_log_has_a_partition_for_each_core(tmp_path: Path, cores: int, made: int) -> None:
    """As many as there are cores to work on them, at most four."""
    assert plan.shards(tmp_path, read({}), {}, cores) == made


def test_a_log_keeps_its_partitions_on_another_machine(tmp_path: Path) -> None:
    """The number of partitions of a log is never changed, whatever the next machine has."""
    assert plan.shards(tmp_path, read({}), {}, 2) == plan.shards(tmp_path, read({}), {}, 16) == 2


def test_what_is_asked_for_is_made_and_kept(tmp_path: Path) -> None:
    """REV_PARTITIONS decides for a new log, and later need not be said again."""
    env = {"REV_PARTITIONS": "7"}
    assert plan.shards(tmp_path, read(env), env, 2) == 7
    assert plan.shards(tmp_path, read({}), {}, 2) == 7


def test_what_is_asked_for_later_is_left_to_be_refused(tmp_path: Path) -> None:
    """Another number for a log that is there is not swallowed: it goes on to `rev init`, which refuses it."""
    plan.shards(tmp_path, read({}), {}, 2)
    env = {"REV_PARTITIONS": "4"}
    assert plan.shards(tmp_path, read(env), env, 2) == 4
    assert plan.shards(tmp_path, read({}), {}, 2) == 2
