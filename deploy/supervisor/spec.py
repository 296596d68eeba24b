"""Description of a child, all that the supervisor knows of it, so that tests can use trivial children."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

START_LIMIT = 180.0
"""Default for the seconds within which a child must come up."""


class Spec(NamedTuple):
    """Description of one child process."""

    name: str
    command: Callable[[], Sequence[str]]
    """Makes the command before every start, in a thread; it may check and prepare files."""
    ready: Callable[[], Awaitable[bool]]
    """True if the child serves now; never raises for a child that is merely not up yet."""
    address: str = ""
    """Address of the child, for people and run.json."""
    env: Mapping[str, str] = {}
    """Variables added to the supervisor's environment."""
    held: bool = False
    """True if the child first reads one line of JSON (more environment) from standard input. So it can load
    its code while what it needs is still starting, and secrets stay out of its environment block.
    """
    within: float = START_LIMIT
    """Seconds within which the child must first be ready; otherwise the start fails."""
    reserve: float = 0.5
    """Minimum seconds from SIGTERM to SIGKILL, however slow the children stopped before it are."""
    niceness: int = 0
    """What is added to the niceness of the child (nice(2))."""
    beside: bool = False
    """True if it stops together with the child before it, as neither needs the other to stop."""
