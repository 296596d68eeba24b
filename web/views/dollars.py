"""Dollars as a person types them, to exact pico-cents. Pure; no floats."""

import re

from schemas.money import DECIMALS, MAX_EVENT, PICO
from web.formats import dollars_in_full

MAX_DECIMALS = DECIMALS + 2
"""Decimals of a dollar."""
_DOLLARS = re.compile(r"\$?\s*(\d[\d,]*)?(?:\.(\d+))?", re.ASCII)


class FormProblem(ValueError):
    """A field that cannot be what it must. The message names the field."""


def pico_of(field: str, text: str, most: int = MAX_EVENT, like: str = "49.90") -> int:
    """Return the pico-cents of dollars: ``1,234.5``, ``$0.005``. Raises FormProblem."""
    found = _DOLLARS.fullmatch(text.strip())
    if found is None or (found[1] is None and found[2] is None):
        raise FormProblem(f"{field} must be dollars, such as {like}")
    part = (found[2] or "").rstrip("0")
    if len(part) > MAX_DECIMALS:
        raise FormProblem(f"{field} must have at most {MAX_DECIMALS} decimals of a dollar")
    pico = int((found[1] or "0").replace(",", "")) * 100 * PICO + int(part.ljust(MAX_DECIMALS, "0"))
    if pico > most:
        raise FormProblem(f"{field} must be at most {dollars_in_full(most)}")
    return pico
