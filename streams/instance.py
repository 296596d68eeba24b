"""The identity of this process within its service: an ordinal, held by a file lock while the process runs."""

import fcntl
import os
from pathlib import Path
from typing import IO

from schemas.settings import SettingError
from streams.errors import InstanceTaken


class Instance:
    """A held ordinal. ``name`` is ``<service>-<ordinal>``: the static group member, and the state directory's name
    under ``data``/state. Raises InstanceTaken if another process holds it, SettingError if nothing can be written."""

    def __init__(self, data: Path, service: str, ordinal: int) -> None:
        self.name = f"{service}-{ordinal}"
        self.directory = data / "state" / self.name
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (self.directory / "lock").open("a+")
        except OSError as error:
            raise SettingError(f"cannot write to {error.filename} ({error.strerror}); set REV_DATA") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise InstanceTaken(f"{self.name} is held by process {holder or 'unknown'}") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
