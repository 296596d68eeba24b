"""Rules for names of agents, actions, customers, tasks, keys and models. Pure.

Two names that look alike must not be two customers or two prices. So a name has no invisible
parts: no blanks at the ends, no invisible characters, and one form for each letter (NFC, Unicode
Standard Annex 15). Case counts: 'Acme' and 'acme' differ. The rules apply to new names only; names
in an older log are still found.
"""

import re
import unicodedata
from functools import lru_cache

from ingest.problems import Invalid

CONTROL = r"\u0000-\u001f\u007f-\u009f"
BLANK = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Characters that may not begin or end a name. Of these, line and paragraph separators may not be inside one either."""
INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    r"\ufff9-\ufffb"
)
"""Characters without a shape: zero-width spaces, byte order marks, soft hyphens, direction marks, fillers.

The joiners U+200C and U+200D are not included: several scripts and emoji need them.
"""

_has_control = re.compile(rf"[{CONTROL}\ud800-\udfff]").search
_has_blank_end = re.compile(rf"\A[{BLANK}]|[{BLANK}]\Z").search
_has_invisible = re.compile(rf"[{INVISIBLE}]").search
SHOWN = 60
"""Characters of a name that a message repeats."""


def is_plain(name: str) -> bool:
    """True if a non-empty name is certainly valid: the fast path of :func:`check`."""
    return name.isascii() and name.isprintable() and name[0] != " " and name[-1] != " "


is_often_plain = lru_cache(4096)(is_plain)
""":func:`is_plain` for names that repeat, such as those of agents and models."""


def check(field: str, name: str | None) -> None:
    """Raise Invalid, naming the field, for a text that no new name may have. Does not check the length."""
    if name is None or not name or is_plain(name):
        return
    if _has_control(name):
        raise Invalid(f"{field} must not contain control characters")
    if _has_blank_end(name):
        raise Invalid(f"{field} must not begin or end with whitespace: it is {_shown(name)}")
    if found := _has_invisible(name):
        raise Invalid(f"{field} must not contain the invisible character U+{ord(found[0]):04X}: it is {_shown(name)}")
    if not unicodedata.is_normalized("NFC", name):
        wanted = unicodedata.normalize("NFC", name)
        raise Invalid(f"{field} must be in Unicode NFC: send {_shown(wanted)} instead of {_shown(name)}")


def _shown(name: str) -> str:
    return ascii(name[:SHOWN]) + ("…" if len(name) > SHOWN else "")
