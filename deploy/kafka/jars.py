"""The broker's jars: fetched once, checked against our own list before every start.

The list (deploy/kafka.lock) decides, not what a resolver makes of the published metadata that
day: a jar is used if and only if its SHA-256 is in the list.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

VERSION = "4.3.1"
LOCK = Path(__file__).parent.parent / "kafka.lock"

Progress = Callable[[int, int], None]
"""Called with (bytes fetched so far, total bytes)."""


class JarError(RuntimeError):
    """Error for broker jars that are missing and cannot be fetched, or are not the listed ones."""


class Jar(NamedTuple):
    """One line of the lock file; ``size`` in bytes, ``sha256`` in lower-case hex."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Path, Path, list[Jar], Progress], None]
"""Puts jars into the second directory. The first is scratch space and is deleted afterwards."""


def listed(text: str) -> list[Jar]:
    """Parse the jars of a lock file's text. Raises JarError for an invalid line."""
    jars = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        try:
            coordinate, sha256, size = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256, int(size)))
        except ValueError as error:
            raise JarError(f"kafka.lock: cannot read {line!r}") from error
    return jars


def cache_directory(env: Mapping[str, str]) -> Path:
    """Return the directory of the jars, outside any checkout so that clones share them."""
    base = env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rev" / f"kafka-{VERSION}"


def wrong(directory: Path, jars: Iterable[Jar]) -> list[str]:
    """Return the names of listed jars that are missing from the directory or have other bytes."""
    return [jar.filename for jar in jars if _digest(directory / jar.filename) != jar.sha256]


def from_maven(scratch: Path, target: Path, jars: list[Jar], progress: Progress) -> None:
    """Put the jars into ``target``. Raises JarError if one cannot be fetched."""
    import requests
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    # Mirrors come from jgo's own configuration file, where its users set them.
    mirrors = GlobalSettings.load().repositories or None
    maven = MavenContext(repo_cache=scratch, remote_repos=mirrors, timeout=60)
    total, done = sum(jar.size for jar in jars), 0

    def fetch(jar: Jar) -> int:
        component = maven.project(jar.group, jar.artifact).at_version(jar.version)
        shutil.move(component.artifact().resolve(), target / jar.filename)
        return jar.size

    progress(0, total)
    with ThreadPoolExecutor(8, thread_name_prefix="jars") as pool:
        try:
            for size in pool.map(fetch, jars):
                done += size
                progress(done, total)
        except (requests.RequestException, RuntimeError, OSError) as error:
            pool.shutdown(cancel_futures=True)
            raise JarError(f"cannot fetch Kafka's jars: {error}") from error


def ensure(directory: Path, jars: list[Jar], progress: Progress, fetch: Fetch = from_maven) -> list[Path]:
    """Return the paths of all jars in the directory; fetch them if need be, check them in any case.

    The directory appears whole or not at all: an interrupted fetch leaves nothing that looks
    complete. Raises JarError if the listed jars cannot be fetched.
    """
    if wrong(directory, jars):
        _fetch_into(directory, jars, progress, fetch)
    return [directory / jar.filename for jar in jars]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _fetch_into(directory: Path, jars: list[Jar], progress: Progress, fetch: Fetch) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}-") as scratch:
        fresh = Path(scratch) / "jars"
        fresh.mkdir()
        fetch(Path(scratch) / "repository", fresh, jars, progress)
        bad = wrong(fresh, jars)
        if bad:
            raise JarError(f"fetched files differ from kafka.lock: {', '.join(bad)}")
        _move_into_place(fresh, directory, Path(scratch) / "old")
        if wrong(directory, jars):
            raise JarError(f"{directory} does not contain the jars of kafka.lock; remove it and try again")


def _move_into_place(fresh: Path, directory: Path, aside: Path) -> None:
    """Rename. Another process may have done it first, which is just as good (the jars are checked after)."""
    if directory.exists():
        directory.rename(aside)
    try:
        os.rename(fresh, directory)
    except OSError:
        if not directory.is_dir():
            raise
