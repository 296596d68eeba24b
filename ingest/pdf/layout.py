"""Lays a document out on pages of A4: head, parties, a table that goes on over pages, sums, and a foot on each page.

Lengths are points from the top left corner of the page. No time or random number is in the file.
"""

import io

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from ingest.pdf.document import PdfDocument
from ingest.pdf.fonts import BOLD, TEXT, pieces, width, wrapped

WIDTH, HEIGHT = A4
LEFT, RIGHT, TOP, BOTTOM = 48.0, WIDTH - 48, 52.0, HEIGHT - 64
INK, SOFT, RULE, ACCENT = (0.10, 0.12, 0.16), (0.42, 0.45, 0.50), (0.86, 0.88, 0.90), (0.29, 0.27, 0.85)
QUANTITY, RATE = RIGHT - 205, RIGHT - 95
"""Right edges of columns."""
WORDS = QUANTITY - 95 - LEFT
"""Width of the column of words."""
SIZE, SMALL, LEADING = 8.5, 7.5, 11.5


def pdf(document: PdfDocument) -> bytes:
    """Return the document as PDF."""
    pages = _Pages(document, 0)
    pages = _Pages(document, pages.count)  # now that it is known how many there are
    return pages.file()


class _Pages:
    """A file in the making. ``total``: the pages of the whole."""

    def __init__(self, document: PdfDocument, total: int) -> None:
        self._file = io.BytesIO()
        self._canvas = Canvas(self._file, pagesize=A4, invariant=1, pageCompression=1)
        self._canvas.setTitle(f"{document.title} {document.name}".strip())
        self._canvas.setAuthor("")
        self._canvas.setCreator("Rev")
        self._document = document
        self._total = total
        self.count = 1
        self._y = TOP
        self._head()
        self._table()
        self._sums()
        self._foot()
        self._canvas.showPage()

    def file(self) -> bytes:
        """Return the whole file."""
        self._canvas.save()
        return self._file.getvalue()

    def _head(self) -> None:
        document = self._document
        self._canvas.setFillColorRGB(*ACCENT)
        self._canvas.rect(0, HEIGHT - 6, WIDTH, 6, stroke=0, fill=1)
        self._text(LEFT, self._y + 18, document.title, size=20, font=BOLD)
        self._y += 44
        for label, value in document.facts:
            self._text(LEFT, self._y, label, size=SIZE, font=BOLD)
            self._text(LEFT + 110, self._y, value, size=SIZE)
            self._y += LEADING + 1.5
        self._y += 16
        top, lowest = self._y, self._y
        for number, (heading, lines) in enumerate(document.parties):
            x, y = LEFT + number * (RIGHT - LEFT) / 2, top
            self._text(x, y, heading, size=SIZE, font=BOLD)
            for line in lines:
                for part in wrapped(line, TEXT, SIZE, (RIGHT - LEFT) / 2 - 16):
                    y += LEADING + 0.5
                    self._text(x, y, part, size=SIZE)
            lowest = max(lowest, y)
        self._y = lowest + 34
        for part in wrapped(document.headline, BOLD, 13, RIGHT - LEFT):
            self._text(LEFT, self._y, part, size=13, font=BOLD)
            self._y += 17
        self._y += 15
        self._columns()

    def _columns(self) -> None:
        self._text(LEFT, self._y, "Description", size=SMALL, color=SOFT)
        self._right(QUANTITY, self._y, "Quantity", size=SMALL, color=SOFT)
        self._right(RATE, self._y, "Unit price", size=SMALL, color=SOFT)
        self._right(RIGHT, self._y, self._document.amount_title, size=SMALL, color=SOFT)
        self._y += 6
        self._rule()
        self._y += 15

    def _table(self) -> None:
        if not self._document.rows:
            self._text(LEFT, self._y, "No charges in this time.", size=SIZE, color=SOFT)
            self._y += LEADING + 6
        for row in self._document.rows:
            words = wrapped(row.words, TEXT, SIZE, WORDS)
            detail = wrapped(row.detail, TEXT, SMALL, WORDS) if row.detail else []
            self._ensure(LEADING * len(words) + 10 * len(detail) + 8)
            self._right(QUANTITY, self._y, row.quantity)
            self._right(RATE, self._y, row.rate)
            self._right(RIGHT, self._y, row.amount)
            for part in words:
                self._text(LEFT, self._y, part)
                self._y += LEADING
            for part in detail:
                self._text(LEFT, self._y - 1, part, size=SMALL, color=SOFT)
                self._y += 10
            self._y += 7

    def _sums(self) -> None:
        document = self._document
        self._ensure(26 + 21 * len(document.sums))
        self._y += 2
        for one in document.sums:
            self._rule(QUANTITY - 60)
            self._y += 13
            font = BOLD if one.is_strong else TEXT
            self._text(QUANTITY - 60, self._y, one.words, font=font)
            self._right(RIGHT, self._y, one.amount, font=font)
            self._y += 8
        self._y += 26
        for note in document.notes:
            for part in wrapped(note, TEXT, SMALL, RIGHT - LEFT):
                self._ensure(12)
                self._text(LEFT, self._y, part, size=SMALL, color=SOFT)
                self._y += 11

    def _ensure(self, height: float) -> None:
        """Begin another page if there is not that much room on this one."""
        if self._y + height > BOTTOM:
            self._foot()
            self._canvas.showPage()
            self.count += 1
            self._y = TOP
            self._columns()

    def _foot(self) -> None:
        y = HEIGHT - 36
        self._canvas.setStrokeColorRGB(*RULE)
        self._canvas.line(LEFT, HEIGHT - y + 14, RIGHT, HEIGHT - y + 14)
        self._text(LEFT, y, self._document.foot, size=SMALL, color=SOFT)
        self._right(RIGHT, y, f"Page {self.count} of {self._total}", size=SMALL, color=SOFT)

    def _rule(self, left: float = LEFT) -> None:
        self._canvas.setStrokeColorRGB(*RULE)
        self._canvas.setLineWidth(0.7)
        self._canvas.line(left, HEIGHT - self._y, RIGHT, HEIGHT - self._y)

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SIZE,
        font: str = TEXT,
        color: tuple[float, float, float] = INK,
    ) -> None:
        self._canvas.setFillColorRGB(*color)
        for piece in pieces(text, font):
            self._canvas.setFont(piece.font, size)
            self._canvas.drawString(x, HEIGHT - y, piece.text)
            x += width(piece.text, font, size)

    def _right(
        self,
        right: float,
        y: float,
        text: str,
        *,
        size: float = SIZE,
        font: str = TEXT,
        color: tuple[float, float, float] = INK,
    ) -> None:
        self._text(right - width(text, font, size), y, text, size=size, font=font, color=color)
