"""Fonts of PDFs: Bitstream Vera, which comes with the library, and one of the reader's for what Vera does not have."""

from functools import cache, lru_cache
from typing import NamedTuple

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

TEXT, BOLD, OTHER = "Vera", "Vera-Bold", "HeiseiKakuGo-W5"
"""OTHER has Greek, Cyrillic, kana and kanji; the reader's program brings it, so it is not in the file."""


class Piece(NamedTuple):
    """Text in one font."""

    text: str
    font: str


@cache
def _glyphs() -> frozenset[int]:
    """Return the code points that Vera has, once all fonts are known to the library."""
    for name, file in ((TEXT, "Vera.ttf"), (BOLD, "VeraBd.ttf")):
        pdfmetrics.registerFont(TTFont(name, file))
    pdfmetrics.registerFont(UnicodeCIDFont(OTHER))
    return frozenset(pdfmetrics.getFont(TEXT).face.charToGlyph)


def pieces(text: str, font: str) -> list[Piece]:
    """Return a text as pieces that a font has each."""
    known = _glyphs()
    found: list[Piece] = []
    for letter in text:
        wanted = font if ord(letter) in known else OTHER
        if found and found[-1].font == wanted:
            found[-1] = Piece(found[-1].text + letter, wanted)
        else:
            found.append(Piece(letter, wanted))
    return found


def width(text: str, font: str, size: float) -> float:
    """Return the width of a text in points."""
    return size * sum(_wide(letter, font) for letter in text)


def wrapped(text: str, font: str, size: float, room: float) -> list[str]:
    """Return a text as lines that are at most ``room`` points wide; a word that is wider is broken."""
    lines, used = [""], 0.0
    for word in text.split(" "):
        longer = f" {word}" if lines[-1] else word
        needed = width(longer, font, size)
        if used + needed <= room:
            lines[-1] += longer
            used += needed
            continue
        if lines[-1]:
            lines.append("")
            used = 0.0
        for letter in word:
            needed = width(letter, font, size)
            if used + needed > room:
                lines.append("")
                used = 0.0
            lines[-1] += letter
            used += needed
    return lines


@lru_cache(maxsize=10_000)
def _wide(letter: str, font: str) -> float:
    """Return the width of a letter at a size of 1 point."""
    ((_, chosen),) = pieces(letter, font)
    return float(pdfmetrics.stringWidth(letter, chosen, 1))
