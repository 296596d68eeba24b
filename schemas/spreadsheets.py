"""Text in CSV files that people open with a spreadsheet. Pure."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_text(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula: it then begins with an apostrophe.

    >>> safe_text("=A1"), safe_text("a=1")
    ("'=A1", 'a=1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
