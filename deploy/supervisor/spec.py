"""What the supervisor is told about a child, so that tests can give it trivial ones."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

START_LIMIT = 60.0
"""Seconds in which a child must have come up, unless it is told otherwise."""


class Spec(NamedTuple):
    """One child process."""

    name: str
    command: Callable[[], Sequence[str]]
    """Makes the command before every start, in a thread: it may check and prepare files."""
    ready: Callable[[], Awaitable[bool]]
    """Whether it serves now; never raises for a child that is merely not up yet."""
    address: str = ""
    """Where it can be reached, for people and run.json."""
    env: Mapping[str, str] = {}
    """Added to the supervisor's environment."""
    held: bool = False
    """It reads one line of JSON (more environment) from standard input before it begins, so
    that it can load its code while what it needs is still starting, and so that secrets are
    not in its environment block."""
    within: float = START_LIMIT
    """Seconds in which it must be ready for the first time, or the start has failed."""
    reserve: float = 0.5
    """Seconds from SIGTERM to SIGKILL that it is left with, however slow those before it are."""
