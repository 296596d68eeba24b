"""A strict CSV reader: it reports errors with line and column and guesses nothing.

It follows RFC 4180: a cell either contains no quote, or begins and ends with one and doubles those within.
The csv module accepts `5" disk` and ` "a"` unchanged and ends an open quote with the file, so mistakes in a
file would be charged; hence this reader.
"""

import re
from collections.abc import Iterator
from typing import TextIO

MAX_ROW = 4 << 20
"""Maximum characters of one row; a longer one could not be sent."""
ENDS = "\r\n"


class CsvError(ValueError):
    """Error: reading cannot continue, because the end of the row is unknown."""


Record = tuple[int, int, list[str | None], str, str | None, int]
"""One row: the line where it begins, how many lines it takes, its cells (None where blank), its text, why
it is bad (or None), and in which cell (from 0). A plain tuple, since there is one for every row."""


class Reader:
    """Records of an open file, blank ones included, as lists of trimmed cells.

    The file must be opened with ``newline=""``. Raises CsvError.
    """

    def __init__(self, file: TextIO, delimiter: str, line: int = 0) -> None:
        """Initialize the reader. ``line``: number of lines of the file that have been read already."""
        self._file, self._delimiter, self._line = file, delimiter, line
        mark = re.escape(delimiter)
        blank = "" if delimiter in " \t" else "[ \\t]*"
        quoted = rf'{blank}"([^"]*(?:""[^"]*)*)"{blank}'
        self._cell = re.compile(rf'(?:{quoted}|([^"{mark}]*))(?={mark}|\Z)')

    def __iter__(self) -> Iterator[Record]:
        delimiter, file = self._delimiter, self._file
        while text := file.readline(MAX_ROW):
            self._line += 1
            if len(text) == MAX_ROW:
                raise CsvError(f"line {self._line} is longer than {MAX_ROW} characters")
            if '"' in text:
                yield self._quoted(text)
            else:
                yield self._line, 1, [cell.strip() or None for cell in text.split(delimiter)], text, None, 0

    def _quoted(self, text: str) -> Record:
        """Return a record that contains quotes; ``text`` is its first line."""
        first, cells, at = self._line, list[str | None](), 0
        problem: tuple[str, int] | None = None
        text, end = _body(text)
        while True:
            found = self._cell.match(text, at)
            if found is None and (opened := _opening(text, at)) is not None and _closing(text, opened) < 0:
                text, end = self._longer(text, end, first, opened)
                found = self._cell.match(text, at)
            if found is not None:
                inner = found[1]
                cells.append((found[2] if inner is None else inner.replace('""', '"')).strip() or None)
                at = found.end()
            else:
                if _opening(text, at) is not None:
                    raise CsvError(self._after_quote(text, at, first))
                problem = problem or ("has a quote inside a cell that does not begin with one", len(cells))
                at = _next(text, self._delimiter, at)
                cells.append(None)
            if at >= len(text):
                why, where = problem or (None, 0)
                return first, self._line - first + 1, cells, text, why, where
            at += 1

    def _longer(self, text: str, end: str, first: int, opened: int) -> tuple[str, str]:
        """Return the record extended by the further lines of the quoted cell that begins at ``opened``."""
        parts, size = [text], len(text)
        while True:
            more = self._file.readline(MAX_ROW)
            size += len(more)
            if not more or size > MAX_ROW:
                why = "is never closed" if not more else f"is not closed within {MAX_ROW} characters"
                raise CsvError(f"{_position(text, opened, first)}: the quote opened here {why}")
            self._line += 1
            parts.append(end)
            body, end = _body(more)
            parts.append(body)
            if _closing(body, -1) >= 0:
                break
        return "".join(parts), end

    def _after_quote(self, text: str, at: int, first: int) -> str:
        opened = _opening(text, at)
        assert opened is not None
        closed = _closing(text, opened)
        where = _position(text, closed + 1, first)
        return f"{where}: there is text after a quoted cell (its quote was opened at {_position(text, opened, first)})"


def _body(line: str) -> tuple[str, str]:
    """Return a line without its end, and its end."""
    body = line.rstrip(ENDS)
    return body, line[len(body) :]


def _opening(text: str, at: int) -> int | None:
    """Return the position of the quote that opens the cell at ``at``; None if the cell does not begin with one."""
    while at < len(text) and text[at] in " \t":
        at += 1
    return at if text[at : at + 1] == '"' else None


def _closing(text: str, opened: int) -> int:
    """Return the position of the quote that closes the one at ``opened``; -1 if it is not closed."""
    at = opened + 1
    while True:
        at = text.find('"', at)
        if at < 0 or text[at + 1 : at + 2] != '"':
            return at
        at += 2


def _next(text: str, delimiter: str, at: int) -> int:
    end = text.find(delimiter, at)
    return len(text) if end < 0 else end


def _position(text: str, at: int, first: int) -> str:
    """Return line and column of a position in a record that begins on line ``first``."""
    before = re.split(r"\r\n|\r|\n", text[:at])
    return f"line {first + len(before) - 1}, column {len(before[-1]) + 1}"
