"""The files of web/static: read once, compressed once, served under an address that changes with their content.

All files share one hash, so that a module may import its neighbour by a relative path.
"""

import gzip
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

DIRECTORY = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOR_EVER = "public, max-age=31536000, immutable"
NOT_KEPT = "no-store"


class StaticFile(NamedTuple):
    """One file; ``compressed`` is its gzip."""

    content_type: str
    body: bytes
    compressed: bytes


class StaticFiles:
    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._files: dict[str, StaticFile] = {}
        digest = sha256()
        for path in sorted(directory.iterdir()):
            body = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + body)
            self._files[path.name] = StaticFile(TYPES[path.suffix], body, gzip.compress(body, 9, mtime=0))
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """Return the address of a file. Raises KeyError if there is none of this name."""
        self._files[name]
        return f"/static/{self.version}/{name}"

    def find(self, name: str) -> StaticFile | None:
        return self._files.get(name)

    def caching(self, version: str) -> str:
        """Return the Cache-Control of a file that was asked for under this version.

        During an update two versions are asked for: a file of the other one is served, but not kept.
        """
        return FOR_EVER if version == self.version else NOT_KEPT
