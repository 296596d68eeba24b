"""The list of jars is the authority: whole, checked, or not there at all."""

import hashlib
from pathlib import Path

import pytest

from deploy.kafka import jars
from deploy.kafka.jars import Jar, JarError, Progress

CONTENT = {"a-1.jar": b"first", "b-2.jar": b"second"}
LISTED = [
    Jar("g", name.split("-")[0], name.split("-")[1].removesuffix(".jar"), hashlib.sha256(data).hexdigest(), len(data))
    for name, data in CONTENT.items()
]


class Shop:
    """A place to fetch from: counts visits, may lack a jar or give other bytes."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content, self.visits = content, 0

    def __call__(self, scratch: Path, target: Path, wanted: list[Jar], progress: Progress) -> None:
        self.visits += 1
        for jar in wanted:
            if jar.filename not in self.content:
                raise JarError(f"no {jar.filename}")
            (target / jar.filename).write_bytes(self.content[jar.filename])
            progress(0, 1)


def _ensure(directory: Path, shop: Shop) -> list[Path]:
    return jars.ensure(directory, LISTED, lambda *_: None, shop)


def test_jars_are_fetched_once_and_checked_each_time(tmp_path: Path) -> None:
    """The second start fetches nothing; a byte that changed since is noticed and mended."""
    shop, where = Shop(CONTENT), tmp_path / "kafka"
    assert [path.read_bytes() for path in _ensure(where, shop)] == [b"first", b"second"]
    _ensure(where, shop)
    assert shop.visits == 1
    (where / "b-2.jar").write_bytes(b"tampered")
    assert [path.read_bytes() for path in _ensure(where, shop)] == [b"first", b"second"]
    assert shop.visits == 2


def test_an_interrupted_fetch_leaves_nothing_behind(tmp_path: Path) -> None:
    """A directory with some of the jars must never pass for a complete one."""
    with pytest.raises(JarError, match=r"no b-2\.jar"):
        _ensure(tmp_path / "kafka", Shop({"a-1.jar": b"first"}))
    assert list(tmp_path.iterdir()) == []


def test_other_bytes_than_the_listed_ones_are_refused(tmp_path: Path) -> None:
    """What a repository serves is used only when its SHA-256 is in our list."""
    with pytest.raises(JarError, match=r"fetched files differ from kafka.lock: .*b-2\.jar"):
        _ensure(tmp_path / "kafka", Shop({**CONTENT, "b-2.jar": b"other"}))
    assert list(tmp_path.iterdir()) == []


def test_the_committed_list_is_complete() -> None:
    """The lock names Kafka itself and a logging binding, each jar once, with SHA-256 and size."""
    found = jars.listed(jars.LOCK.read_text())
    names = [jar.filename for jar in found]
    assert {f"kafka_2.13-{jars.VERSION}.jar", "slf4j-simple-1.7.36.jar"} <= set(names)
    assert len(names) == len(set(names)) == 46
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in found)


def test_a_damaged_list_is_refused() -> None:
    """A line that is no coordinate, hash and size is an error, not a jar less."""
    with pytest.raises(JarError, match="cannot read"):
        jars.listed("org.example:thing:1 abc\n")
