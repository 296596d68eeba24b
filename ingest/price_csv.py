"""A price list as CSV: a header, then one price row a line. Pure.

The columns are the fields of a price row; ``rates.NAME`` is the rate of a quantity, ``2.5`` for one unit or
``250/1000000`` for so many. An empty cell is an absent field.
"""

import csv
import io

import msgspec

from ingest.hints import hint
from ingest.problems import Invalid

RATE_PREFIX = "rates."
FLAGS = {"true": True, "false": False}
TEXTS = ("action_type", "customer_id", "model", "provider", "effective_at")
RATES = ("base_rate_cents", "token_rate_cents", "outcome_bonus_cents", "minimum_cents", "cap_cents")
COLUMNS = (*TEXTS, *RATES, "ignore_unknown")


def rows_of(body: bytes) -> list[bytes]:
    """Return the price rows of a CSV file, each as the JSON of a PriceBody. Raises Invalid naming row and column."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Invalid("the body is not valid UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise Invalid(f"the body is not valid CSV: line {reader.line_num}: {error}") from None
    if not lines:
        raise Invalid("the body is empty; a header and price rows are required")
    header = [name.strip() for name in lines[0]]
    _check_header(header)
    return [_row(number, header, cells) for number, cells in enumerate(lines[1:])]


def _check_header(header: list[str]) -> None:
    for index, name in enumerate(header):
        if name not in COLUMNS and not (name.startswith(RATE_PREFIX) and len(name) > len(RATE_PREFIX)):
            raise Invalid(f"unknown column {name[:100]!r}{hint(name, COLUMNS)}")
        if name in header[:index]:
            raise Invalid(f"column {name[:100]} is given twice")


def _row(number: int, header: list[str], cells: list[str]) -> bytes:
    where = f"rows[{number}]"
    if len(cells) != len(header):
        raise Invalid(f"{where} must have {len(header)} cells like the header, not {len(cells)}")
    made: dict[str, object] = {}
    rates: dict[str, object] = {}
    for name, text in zip(header, (cell.strip() for cell in cells), strict=True):
        if not text:
            continue
        if name.startswith(RATE_PREFIX):
            rates[name.removeprefix(RATE_PREFIX)] = _rate(f"{where}.{name[:80]}", text)
        elif name == "ignore_unknown":
            if text.lower() not in FLAGS:
                raise Invalid(f"{where}.{name} must be true or false")
            made[name] = FLAGS[text.lower()]
        else:
            made[name] = text
    return msgspec.json.encode(made | ({"rates": rates} if rates else {}))


def _rate(where: str, text: str) -> object:
    rate, slash, per = text.partition("/")
    if not slash:
        return rate
    if not (per.strip().isascii() and per.strip().isdigit() and len(per) < 20):
        raise Invalid(f"{where} must be a rate, or a rate, a slash and an integer, such as 250/1000000")
    return {"rate": rate.strip(), "per": int(per)}
