"""The manifest of an export: which files are there, with their hashes, and where the next one goes on.

A file gets its name when it is whole and on disk, then the manifest names it. So what a cut leaves is written again.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

NAME = "manifest.json"


class ExportedFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file. ``until``: of entries, by partition the last offset of rev.entries that it or an earlier one covers."""

    name: str
    kind: str
    rows: int
    bytes: int
    sha256: str
    until: dict[str, int] = {}


class Manifest(msgspec.Struct):
    """The files of one month."""

    month: str
    format: str
    files: list[ExportedFile] = []

    def of(self, kind: str) -> list[ExportedFile]:
        """Return the files of one kind, in the order in which they were written."""
        return [part for part in self.files if part.kind == kind]


class ExportError(Exception):
    """The export cannot go on; the message says what to do."""


def load(directory: Path, month: str, format: str) -> Manifest:
    """Return the manifest of a directory, after its files were checked. Raises ExportError."""
    try:
        found = msgspec.json.decode((directory / NAME).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest(month, format)
    except (OSError, msgspec.DecodeError) as error:
        raise ExportError(f"{directory / NAME} cannot be read: {error}") from error
    if (found.month, found.format) != (month, format):
        raise ExportError(f"{directory} holds {found.month} as {found.format}; export to another directory")
    for part in found.files:
        if not (directory / part.name).is_file() or _hash(directory / part.name) != part.sha256:
            raise ExportError(
                f"{directory / part.name} is missing or was changed; move the directory away, or restore it"
            )
    return found


def write(directory: Path, name: str, chunks: Iterable[bytes]) -> tuple[int, str]:
    """Write a file as a whole; return its bytes and SHA-256. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    part, digest, size = directory / f"{name}.part", hashlib.sha256(), 0
    with part.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / name)
    return size, digest.hexdigest()


def add(directory: Path, manifest: Manifest, part: ExportedFile) -> None:
    """Name a file in the manifest; one of the same name takes its place. Raises OSError."""
    if any(one.name == part.name for one in manifest.files):
        manifest.files = [part if one.name == part.name else one for one in manifest.files]
    else:
        manifest.files = [*manifest.files, part]
    write(directory, NAME, [msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"])


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
