"""The manifest of an export: which files are there, with their hashes, and where the next one goes on.

A file gets its name when it is whole and stored, then the manifest names it. So what a cut leaves is written again.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from tools.exporter.destinations import ExportedFile, ExportError, ExportPlace

NAME = "manifest.json"
Format = Literal["csv", "parquet"]


class Manifest(msgspec.Struct):
    """The files of one month."""

    month: str
    format: Format
    files: list[ExportedFile] = []


class Export:
    """The files of one month at a place, as its manifest names them."""

    def __init__(self, place: ExportPlace, manifest: Manifest) -> None:
        self.place = place
        self.manifest = manifest

    def of(self, kind: str) -> list[ExportedFile]:
        """Return the files of one kind, in the order in which they were written."""
        return [one for one in self.manifest.files if one.kind == kind]

    def name(self, stem: str) -> str:
        """Return the name of a file with its ending."""
        return f"{stem}.{self.manifest.format}"

    def add(
        self, stem: str, kind: str, rows: int, chunks: Iterable[bytes], until: Mapping[str, int] | None = None
    ) -> None:
        """Write a file, then name it in the manifest; one of the same name takes its place.

        Raises ExportError or OSError.
        """
        name = self.name(stem)
        stored = self.place.write(name, chunks)
        made = ExportedFile(
            name, kind, rows, bytes=stored.size, sha256=stored.sha256, until=dict(until or {}), etag=stored.etag
        )
        files = [one for one in self.manifest.files if one.name != name]
        place = next((at for at, one in enumerate(self.manifest.files) if one.name == name), len(files))
        self.manifest.files = [*files[:place], made, *files[place:]]
        self.place.replace(NAME, msgspec.json.format(msgspec.json.encode(self.manifest), indent=2) + b"\n")


def load(place: ExportPlace, month: str, format: Format) -> Export:
    """Return the export at a place, after its files were checked. Raises ExportError or OSError."""
    body = place.read(NAME)
    if body is None:
        return Export(place, Manifest(month, format))
    try:
        found = msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise ExportError(f"{place.where(NAME)} cannot be read: {error}") from error
    if (found.month, found.format) != (month, format):
        raise ExportError(f"{place.where('')} holds {found.month} as {found.format}; export to another place")
    for one in found.files:
        if not place.is_intact(one):
            raise ExportError(f"{place.where(one.name)} is missing or was changed; move all files away, or restore it")
    return Export(place, found)
