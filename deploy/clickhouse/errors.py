"""ClickHouse's errors as its HTTP interface shows them: a code, a sentence, an HTTP status.

This module does no I/O.
"""

import re

UNKNOWN = 1002
_CODE = re.compile(r"Code: (\d+)\. ")

_STATUS = {
    **dict.fromkeys((164, 192, 193, 194, 497, 516), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 81, 115, 372), 404),
    **dict.fromkeys((6, 26, 27, 33, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 117, 271, 386, 452, 456, 457), 400),
    159: 408,
    202: 503,
    48: 501,
}


class ClickHouseError(Exception):
    """Error reported to the client: a refusal or a failure. ``text`` is the whole sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """Return the HTTP status. As in the server, it is 500 for failures other than a malformed request."""
        return _STATUS.get(self.code, 500)


def refusal(code: int, name: str, sentence: str) -> ClickHouseError:
    """Return an error of our own in the server's words: ``Code: 62. DB::Exception: … (SYNTAX_ERROR)``."""
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {sentence} ({name})")


def from_engine(error: Exception) -> ClickHouseError:
    """Return the engine's error, without what it may have put before the code."""
    text = str(error)
    match = _CODE.search(text)
    if match is None:
        return ClickHouseError(UNKNOWN, f"Code: {UNKNOWN}. DB::Exception: {text} (UNKNOWN_EXCEPTION)")
    return ClickHouseError(int(match[1]), text[match.start() :])


def bad_argument(sentence: str) -> ClickHouseError:
    return refusal(36, "BAD_ARGUMENTS", sentence)


def syntax(sentence: str) -> ClickHouseError:
    return refusal(62, "SYNTAX_ERROR", f"Syntax error: {sentence}")


def read_only() -> ClickHouseError:
    return refusal(164, "READONLY", "Cannot execute query in readonly mode.")


def denied(what: str) -> ClickHouseError:
    return refusal(497, "ACCESS_DENIED", f"Not enough privileges: {what}")


def cancelled() -> ClickHouseError:
    return refusal(394, "QUERY_WAS_CANCELLED", "Query was cancelled.")
