"""Where an export goes: a directory, or a bucket of S3. A file has its name only when it is whole and stored."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

S3 = "s3://"


class ExportError(Exception):
    """The export cannot go on; the message says what to do."""


class ExportedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file.

    ``until``: of entries, by partition the last offset of rev.entries that it or an earlier one covers. ``etag``: in a
    bucket, the ETag that S3 gave it.
    """

    name: str
    kind: str
    rows: int
    bytes: int
    sha256: str
    until: dict[str, int] = {}
    etag: str = ""


class Stored(NamedTuple):
    """What was written: bytes, their SHA-256, and in a bucket their ETag."""

    size: int
    sha256: str
    etag: str = ""


class FileDigest:
    """Counts and hashes what passes through :meth:`of`."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the chunks."""
        for chunk in chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class ExportPlace(Protocol):
    """A place for the files of one month. Each method may raise ExportError or OSError."""

    def read(self, name: str) -> bytes | None:
        """Return a file, None if there is none. What replaces it later with :meth:`replace` must find it unchanged."""
        ...

    def write(self, name: str, chunks: Iterable[bytes]) -> Stored:
        """Write a file as a whole, in the place of one that is there."""
        ...

    def replace(self, name: str, body: bytes) -> None:
        """Replace the file that was read last, which no other export may have replaced in the meantime."""
        ...

    def is_intact(self, file: ExportedFile) -> bool:
        """Return whether a file is there as it was written."""
        ...

    def where(self, name: str) -> str:
        """Return the path or address of a file."""
        ...

    def close(self) -> None:
        """Let others export to the same place."""
        ...


class Directory:
    """The files of ``path``. Raises ExportError while another export has it, or OSError."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise ExportError(f"another export writes to {path}; wait until it has ended") from None

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, chunks: Iterable[bytes]) -> Stored:
        part, digest = self._path / f"{name}.part", FileDigest()
        with part.open("wb") as file:
            for chunk in digest.of(chunks):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path / name)
        os.fsync(self._handle)
        return Stored(digest.size, digest.sha256)

    def replace(self, name: str, body: bytes) -> None:
        self.write(name, [body])

    def is_intact(self, file: ExportedFile) -> bool:
        try:
            with (self._path / file.name).open("rb") as there:
                return hashlib.file_digest(there, "sha256").hexdigest() == file.sha256
        except FileNotFoundError:
            return False

    def where(self, name: str) -> str:
        return str(self._path / name)

    def close(self) -> None:
        os.close(self._handle)


def open_destination(to: str, month: str) -> ExportPlace:
    """Return DIR/YYYY-MM or s3://BUCKET/PREFIX/YYYY-MM. Raises SettingError, ExportError or OSError."""
    if to.startswith(S3):
        from tools.exporter.bucket import open_bucket

        return open_bucket(to, month)
    return Directory(Path(to) / month)
