"""Until when the ledger must hold everything before a period is closed."""

SETTLING = 5_000
"""ms. A period takes entries until at least this long ago: clocks differ, and a command that is appended later must not
get an earlier accepted time."""


class NotSettled(Exception):
    """The ledger does not hold everything until the time that a period is to be closed at."""
