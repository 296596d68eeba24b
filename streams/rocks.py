"""A shard's local state in RocksDB: one write batch per transaction, buckets as column families.

A bucket is dropped as a whole, so expiry costs nothing; bloom filters make a miss cheap.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import structlog
from rocksdict import BlockBasedOptions, Cache, ColumnFamily, Options, Rdict, WriteBatch

from streams import metrics
from streams.state import RETENTION, Buckets, Checkpoint
from streams.types import RetainedRecord

log = structlog.get_logger("streams.rocks")

STATE = "default"
META = "meta"
BUCKET = "remembered/"
CHECKPOINT = b"checkpoint"
WRITE_BUFFER = 8 << 20
BLOCK_CACHE = 64 << 20
"""Bytes shared by all the shards of a process. Includes index and filter blocks, so that memory is bounded."""


@cache
def _block_cache() -> Cache:
    return Cache(BLOCK_CACHE)


def _options() -> Options:
    table = BlockBasedOptions()
    table.set_bloom_filter(10, False)
    table.set_block_cache(_block_cache())
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    # A power cut loses the unsynced end of the write-ahead log; flushed together, no family can then be behind the
    # checkpoint.
    options.set_atomic_flush(True)
    options.set_write_buffer_size(WRITE_BUFFER)
    options.set_max_background_jobs(2)
    options.set_max_open_files(256)
    options.set_keep_log_file_num(2)
    options.set_block_based_table_factory(table)
    return options


class RocksStore:
    """A store in one directory, used by one process. A directory that cannot be opened is deleted, since it is only a
    cache. Reads and writes raise rocksdict's Exception on I/O errors."""

    def __init__(self, path: Path, retention: int = RETENTION) -> None:
        self._path = path
        self._buckets = Buckets(retention)
        self._newest_first: list[Rdict] = []
        self._oldest: int | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except Exception as error:
            if "lock" in str(error).lower():
                raise
            log.error("checkpoint_unreadable", path=str(path), error=repr(error))
            metrics.SHARD_REBUILT.labels("unreadable").inc()
            shutil.rmtree(path, ignore_errors=True)
            self._open()

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._db.get(key)
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        key: Any
        for key, value in self._db.items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def get_retained(self, key: bytes) -> RetainedRecord | None:
        for family in self._newest_first:
            value = family.get(key)
            if value is not None:
                return RetainedRecord(key, value[8:], int.from_bytes(value[:8], "big"))
        return None

    def checkpoint(self) -> Checkpoint | None:
        value = self._meta.get(CHECKPOINT)
        return None if value is None else msgspec.json.decode(value, type=Checkpoint)

    def write(
        self, changes: Mapping[bytes, bytes | None], retained: Iterable[RetainedRecord], checkpoint: Checkpoint
    ) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        oldest = self._buckets.oldest(checkpoint.at)
        at, stamp, handle = None, b"", None
        for one in retained:
            if one.at != at:  # the records of one command share it
                at = one.at
                bucket = self._buckets.of(at)
                stamp, handle = at.to_bytes(8, "big"), self._handle(bucket) if bucket >= oldest else None
            if handle is not None:
                batch.put(one.key, stamp + one.value, handle)
        batch.put(CHECKPOINT, msgspec.json.encode(checkpoint), self._meta_handle)
        self._db.write(batch)
        if self._oldest is not None and self._oldest < oldest:
            self._forget(oldest)

    def clear(self) -> None:
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)
        self._open()

    def close(self) -> None:
        # The directory is free only after every family is closed.
        for family in (*self._families.values(), self._meta, self._db):
            family.close()
        self._families.clear()
        self._handles.clear()
        self._newest_first = []
        del self._meta_handle

    def _open(self) -> None:
        there = Rdict.list_cf(str(self._path)) if (self._path / "CURRENT").exists() else []
        families = {name: _options() for name in {*there, META} - {STATE}}
        self._db = Rdict(str(self._path), _options(), column_families=families)
        self._meta = self._db.get_column_family(META)
        self._meta_handle = self._db.get_column_family_handle(META)
        self._families: dict[int, Rdict] = {}
        self._handles: dict[int, ColumnFamily] = {}
        for name in there:
            if name.startswith(BUCKET):
                self._know(int(name.removeprefix(BUCKET)))
        self._order()

    def _handle(self, bucket: int) -> ColumnFamily:
        handle = self._handles.get(bucket)
        if handle is None:
            self._db.create_column_family(f"{BUCKET}{bucket}", _options())
            self._know(bucket)
            self._order()
            handle = self._handles[bucket]
        return handle

    def _know(self, bucket: int) -> None:
        self._families[bucket] = self._db.get_column_family(f"{BUCKET}{bucket}")
        self._handles[bucket] = self._db.get_column_family_handle(f"{BUCKET}{bucket}")

    def _order(self) -> None:
        self._newest_first = [self._families[bucket] for bucket in sorted(self._families, reverse=True)]
        self._oldest = min(self._families, default=None)

    def _forget(self, oldest: int) -> None:
        for bucket in [bucket for bucket in self._families if bucket < oldest]:
            del self._families[bucket], self._handles[bucket]
            self._order()
            self._db.drop_column_family(f"{BUCKET}{bucket}")
