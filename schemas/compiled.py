"""Functions that copy declared fields from one struct to another. Compiled, since they run for every command."""

from collections.abc import Mapping
from typing import Any


def dict_of(members: Mapping[str, str], **names: object) -> Any:
    """Return a function of ``source`` that returns a dict: for each key the value of its expression.

    ``names``: what else the expressions name.
    """
    return eval(f"lambda source: {{{', '.join(f'{key!r}: {value}' for key, value in members.items())}}}", names)
