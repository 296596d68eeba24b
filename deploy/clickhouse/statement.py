"""Minimal parsing of a statement: where an INSERT's data begins, which format is requested, what a
KILL QUERY names. This module does not decide what is allowed.

Pure. Statements are bytes, because the data after an INSERT need not be text.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

_TOKEN = re.compile(
    rb"""(?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
       |(?P<quoted>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
       |(?P<word>[A-Za-z_][A-Za-z_0-9]*)
       |(?P<other>.)""",
    re.S | re.X,
)
# What may follow the format's name before the data: blanks, one semicolon, one line end.
_GAP = re.compile(rb"[ \t]*;?[ \t]*(?:\r?\n)?")
_STICKY = (b"SET", b"USE")


class Insert(NamedTuple):
    """An INSERT whose data follows the statement. ``data`` is where it begins in the buffer."""

    head: str
    format: str
    data: int


class Kill(NamedTuple):
    """``KILL QUERY WHERE condition [SYNC | ASYNC | TEST] [FORMAT name]``."""

    condition: bytes
    mode: bytes
    format: str | None


class _Token(NamedTuple):
    kind: str
    text: bytes
    start: int
    end: int


def _tokens(sql: bytes) -> Iterator[_Token]:
    """Yield everything but blanks and comments, words in upper case."""
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "other"
        if kind != "blank":
            text = match[0].upper() if kind == "word" else match[0]
            yield _Token(kind, text, match.start(), match.end())


def words(sql: bytes, count: int) -> list[bytes]:
    """Return the first ``count`` tokens, as far as they are words, in upper case."""
    found: list[bytes] = []
    for token in _tokens(sql):
        if token.kind == "other" and token.text == b"(" and not found:
            continue  # (SELECT …) is a SELECT
        if token.kind != "word" or len(found) == count:
            break
        found.append(token.text)
    return found


def is_select(sql: bytes) -> bool:
    """True if it is a SELECT, the only statement whose result can be streamed."""
    return words(sql, 1)[:1] in ([b"SELECT"], [b"WITH"], [b"FROM"])


def is_sticky(sql: bytes) -> bool:
    """True if it changes the session that it runs in."""
    first = words(sql, 2)
    return first[:1] != [] and (first[0] in _STICKY or first == [b"CREATE", b"TEMPORARY"])


def insert(buffer: bytes) -> Insert | None:
    """Return the INSERT at the start of ``buffer`` if its data follows it, else None.

    It is also None for an INSERT that holds its own data (VALUES, SELECT): the whole buffer is then
    the statement. FROM INFILE reads a file of its own.
    """
    tokens = _tokens(buffer)
    if [token.text for token in (next(tokens, None), next(tokens, None)) if token] != [b"INSERT", b"INTO"]:
        return None
    for token in tokens:
        if token.kind == "word" and token.text in (b"SELECT", b"VALUES", b"WITH", b"WATCH", b"INFILE"):
            return None
        if token.kind == "word" and token.text == b"FORMAT":
            name = next(tokens, None)
            if name is None or name.kind != "word":
                return None
            gap = _GAP.match(buffer, name.end)
            format_name = buffer[name.start : name.end].decode()
            head = buffer[: token.start].decode("utf-8", "surrogateescape")
            return Insert(head, format_name, gap.end() if gap else name.end)
    return None


def output_format(sql: bytes) -> str | None:
    """Return the name in the FORMAT clause that ends the statement (SETTINGS may follow), or None."""
    if b"FORMAT" not in sql.upper():
        return None
    tokens = [token for token in _tokens(sql) if token.text != b";"]
    for at in range(len(tokens) - 2, 0, -1):
        name = tokens[at + 1]
        ends = at + 2 == len(tokens) or tokens[at + 2].text == b"SETTINGS"
        if tokens[at].text == b"FORMAT" and tokens[at].kind == name.kind == "word" and ends:
            return sql[name.start : name.end].decode()
    return None


def kill(sql: bytes) -> Kill | None:
    """Parse a KILL QUERY statement; None for any other."""
    if [token.text for token in islice(_tokens(sql), 3)] != [b"KILL", b"QUERY", b"WHERE"]:
        return None
    tokens = list(_tokens(sql))
    while tokens[-1].text == b";":
        tokens.pop()
    format_name: str | None = None
    if tokens[-2].text == b"FORMAT" and tokens[-1].kind == "word":
        format_name = sql[tokens[-1].start : tokens[-1].end].decode()
        del tokens[-2:]
    mode = b"ASYNC"
    if tokens[-1].text in (b"SYNC", b"ASYNC", b"TEST"):
        mode = tokens.pop().text
    if len(tokens) < 4:
        return None
    return Kill(sql[tokens[3].start : tokens[-1].end], mode, format_name)
