"""Detection of ids that look alike: case, accents, letters of other alphabets, separators. Pure.

It only warns. The table is our own and small: the letters that look alike in common fonts.
"""

import re
import unicodedata
from functools import lru_cache

_LETTERS = str.maketrans(
    {
        **dict(zip("авекмнорстухіѕјԁԛԝһ", "abekmhopctyxisjdqwh", strict=True)),  # Cyrillic
        **dict(zip("αβεηικνορτυχγ", "abenikvoptuxy", strict=True)),  # Greek
        **dict(zip("01i|", "olll", strict=True)),
        **dict.fromkeys(" _.:/\u2010\u2011\u2012\u2013\u2014\u2212\u00b7", "-"),
    }
)
_PAIRS = (("rn", "m"), ("vv", "w"))


@lru_cache(maxsize=65536)
def skeleton(id: str) -> str:
    """Return a text that is equal for ids that look alike. It is not an id and is never shown."""
    plain = unicodedata.normalize("NFKD", id).casefold()
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_LETTERS)
    for pair, one in _PAIRS:
        letters = letters.replace(pair, one)
    return re.sub(r"\s", "-", letters)
