"""The data directory: one supervisor at a time, its secrets, and run.json for other processes."""

import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from schemas.settings import SettingError

RUN = "run.json"
LOCK = "lock"
PORTS = "ports.json"
LOG = "log.json"
GONE_WITHIN = 5.0
"""Seconds that the processes of a killed supervisor have to end by themselves."""


class Occupied(RuntimeError):
    """Another supervisor owns the directory."""


@contextmanager
def owned(data: Path) -> Iterator[None]:
    """Lock the directory. The lock ends with the process.

    Raises Occupied, and SettingError if nothing can be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data / LOCK).open("a+")
    except OSError as error:
        raise SettingError(
            f"{data} cannot be the data directory ({error.strerror}); name another: --data DIR"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise Occupied(f"{data} is in use by another `rev up` (pid {owner}); stop it first") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_owned(data: Path) -> bool:
    """True if a supervisor runs on the directory now."""
    try:
        with (data / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    return False


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; only its owner can read it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def kept_secret(path: Path, given: str = "") -> str:
    """Return the secret in the file; create it once, or replace it with ``given``."""
    known = path.read_text().strip() if path.exists() else ""
    secret = given or known or secrets.token_urlsafe(32)
    if secret != known:
        write_private(path, secret + "\n")
    return secret


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file; empty if there is no file. Raises SettingError if Rev did not write it."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SettingError(f"{path} is damaged; remove it when no `rev up` runs there, and start again")
    return found


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace the file atomically; only its owner can read it."""
    write_private(path, json.dumps(value, indent=1) + "\n")


def birth(pid: int) -> int | None:
    """Return when the process began, in ticks since boot; None if it is gone.

    With the pid it identifies a process for good.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[19])


def end_orphan(old: dict[str, Any], pause: Callable[[float], None] = time.sleep) -> None:
    """Wait until every process that an old run.json names is gone; kill what lingers."""
    births: dict[str, int | None] = old.get("births", {})
    deadline = time.monotonic() + GONE_WITHIN
    for name, pid in old.get("pids", {}).items():
        while births.get(name) is not None and birth(pid) == births[name]:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pause(0.02)
