"""One contract for every store: memory and RocksDB."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.overlay import Overlay, ReservedKey
from streams.rocks import RocksStore
from streams.state import Buckets, Checkpoint, MemoryStore, StateStore
from streams.types import Decision, RetainedRecord

WINDOW = 1000


def at(ms: int, state: int = 1) -> Checkpoint:
    return Checkpoint("e", state, state, ms)


@pytest.fixture(params=["memory", "rocks"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    made: StateStore = MemoryStore(WINDOW) if request.param == "memory" else RocksStore(tmp_path / "db", WINDOW)
    yield made
    made.close()


def test_empty(store: StateStore):
    """A new store holds nothing, not even a checkpoint."""
    assert store.get(b"a") is None
    assert store.get_retained(b"a") is None
    assert list(store.scan(b"")) == []
    assert store.checkpoint() is None


def test_write_and_delete(store: StateStore):
    """A write sets and deletes keys and moves the checkpoint."""
    store.write({b"a": b"1", b"b": b"2", b"empty": b""}, (), at(5, 10))
    store.write({b"a": None, b"b": b"3", b"absent": None}, (), at(6, 11))
    assert (store.get(b"a"), store.get(b"b"), store.get(b"empty")) == (None, b"3", b"")
    assert store.checkpoint() == Checkpoint("e", 11, 11, 6)


def test_scan_in_key_order(store: StateStore):
    """A scan gives the pairs below a prefix in key order and nothing else."""
    store.write({b"p/2": b"b", b"p/10": b"c", b"p/1": b"a", b"q": b"x", b"p": b"y"}, (), at(1))
    assert list(store.scan(b"p/")) == [(b"p/1", b"a"), (b"p/10", b"c"), (b"p/2", b"b")]


def test_recall_newest(store: StateStore):
    """What is remembered keeps value and time; the newest of a key counts, in whichever bucket."""
    store.write({}, [RetainedRecord(b"k", b"old", 100), RetainedRecord(b"other", b"", 100)], at(100))
    store.write({}, [RetainedRecord(b"k", b"new", 900)], at(900))
    assert store.get_retained(b"k") == RetainedRecord(b"k", b"new", 900)
    assert store.get_retained(b"other") == RetainedRecord(b"other", b"", 100)


def test_forgets_only_beyond_the_window(store: StateStore):
    """Nothing younger than the window is forgotten, and everything older than two windows is."""
    for ms in range(0, 5000, 100):
        store.write({}, [RetainedRecord(b"%d" % ms, b"v", ms)], at(ms))
        kept = [b for b in range(0, ms + 1, 100) if store.get_retained(b"%d" % b) is not None]
        assert set(range(max(0, ms - WINDOW), ms + 1, 100)) <= set(kept)
        assert min(kept) >= ms - 2 * WINDOW


def test_too_old_to_remember(store: StateStore):
    """What is long past the window when it is written is not kept."""
    store.write({}, [RetainedRecord(b"k", b"v", 0)], at(100 * WINDOW))
    assert store.get_retained(b"k") is None


def test_clear(store: StateStore):
    """Clearing leaves a new store behind."""
    store.write({b"a": b"1"}, [RetainedRecord(b"k", b"v", 1)], at(1))
    store.clear()
    assert (store.get(b"a"), store.get_retained(b"k"), store.checkpoint()) == (None, None, None)
    store.write({b"a": b"2"}, (), at(2))
    assert list(store.scan(b"")) == [(b"a", b"2")]


def test_rocks_survives_closing(tmp_path: Path):
    """A closed RocksDB store opens again with everything in it, buckets too."""
    first = RocksStore(tmp_path / "db", WINDOW)
    first.write({b"a": b"1"}, [RetainedRecord(b"k", b"v", 700)], at(900, 42))
    first.close()
    again = RocksStore(tmp_path / "db", WINDOW)
    assert (again.get(b"a"), again.get_retained(b"k")) == (b"1", RetainedRecord(b"k", b"v", 700))
    assert again.checkpoint() == Checkpoint("e", 42, 42, 900)
    again.close()


def test_rocks_discards_what_it_cannot_open(tmp_path: Path):
    """A directory that is no database any more is a lost cache, not a stopped shard."""
    first = RocksStore(tmp_path / "db")
    first.write({b"a": b"1"}, (), at(1))
    first.close()
    (tmp_path / "db" / "CURRENT").write_text("nonsense")
    again = RocksStore(tmp_path / "db")
    assert again.checkpoint() is None
    again.close()


def test_rocks_is_held_by_one(tmp_path: Path):
    """A directory that is open elsewhere is refused and never thrown away."""
    first = RocksStore(tmp_path / "db")
    first.write({b"a": b"1"}, (), at(1))
    with pytest.raises(Exception, match=r"(?i)lock"):
        RocksStore(tmp_path / "db")
    assert first.get(b"a") == b"1"
    first.close()


@given(window=st.integers(1, 10**10), now=st.integers(0, 10**13), age=st.integers(0, 10**11))
def test_buckets_keep_the_window(window: int, now: int, age: int):
    """A bucket is needed exactly as long as something in it may still be remembered."""
    buckets = Buckets(window)
    if age <= window and age <= now:
        assert buckets.of(now - age) >= buckets.oldest(now)
    assert buckets.of(now) - buckets.oldest(now) <= 3


KEYS = st.binary(max_size=2).map(lambda key: b"k" + key)


@given(
    committed=st.dictionaries(KEYS, st.binary(max_size=2)),
    changed=st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2))),
    prefix=KEYS,
)
def test_overlay_is_the_state_to_be(committed, changed, prefix):
    """What a record sees through the overlay is what the store holds after the write."""
    store = MemoryStore()
    store.write(committed, (), at(1))
    overlay = Overlay(store)
    for pair in changed:
        overlay.apply(Decision(changes=(pair,)))
    seen = list(overlay.scan(prefix))
    gotten = {key: overlay.get(key) for key in [*committed, *(key for key, _ in changed)]}
    store.write(overlay.changes, (), at(2))
    assert seen == list(store.scan(prefix))
    assert gotten == {key: store.get(key) for key in gotten}


def test_overlay_recalls_its_own():
    """What an earlier record of the transaction remembers is recalled before the store's."""
    store = MemoryStore()
    store.write({}, [RetainedRecord(b"k", b"old", 1)], at(1))
    overlay = Overlay(store)
    assert overlay.get_retained(b"k") == RetainedRecord(b"k", b"old", 1)
    overlay.apply(Decision(retained=(RetainedRecord(b"k", b"new", 2),)))
    assert overlay.get_retained(b"k") == RetainedRecord(b"k", b"new", 2)


def test_host_keys_are_refused():
    """A decision may not touch the host's records, and then changes nothing at all."""
    overlay = Overlay(MemoryStore())
    with pytest.raises(ReservedKey):
        overlay.apply(Decision(changes=((b"a", b"1"), (b"!position", b"0"))))
    assert overlay.changes == {}
