"""The columns of exported tables, and their cells from what the API answers. Pure; exact.

What is exact decimals in the API is exact in both kinds of files: as text in CSV, as DECIMAL(38, 12) in Parquet.
"""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, Inexact
from typing import Any, get_args

import msgspec

from schemas import times
from schemas.invoice_objects import InvoiceObject
from schemas.money import DECIMALS
from schemas.objects import Number
from schemas.parquet_file import Column, ColumnKind, Value
from tools.exporter.postings import Posting

TEXT, COUNT, CENTS, TIME, FLAG = ColumnKind
_EXACT = Context(prec=60, traps=[Inexact])
_NESTED = ("payments", "bill_to")
_TIMES = ("from", "to", "as_of", "late_after", "invoicing_since")


def _column(name: str, annotation: object) -> Column:
    """Return the column of a field of the API: times by their names, the others by what they are annotated as."""
    if name in _TIMES or name.endswith("_at"):
        return Column(name, TIME)
    parts = (annotation, *get_args(annotation))
    return Column(name, CENTS if Number in parts else COUNT if int in parts else TEXT)


INVOICES = tuple(
    _column(field.encode_name, field.type)
    for field in msgspec.structs.fields(InvoiceObject)
    if field.name not in _NESTED
)
"""Of invoices; ``tax_percent`` is exact as cents are."""
LINES = (
    Column("number", TEXT),
    Column("customer_id", TEXT),
    Column("kind", TEXT),
    Column("late", FLAG),
    Column("action", TEXT),
    Column("model", TEXT),
    Column("provider", TEXT),
    Column("component", TEXT),
    Column("quantity", CENTS),
    Column("rate_cents", CENTS),
    Column("per", COUNT),
    Column("price_id", COUNT),
    Column("event_id", COUNT),
    Column("voided_event_id", COUNT),
    Column("import_id", TEXT),
    Column("reason", TEXT),
    Column("recorded_at", TIME),
    Column("entries", COUNT),
    Column("amount_cents", CENTS),
)
"""Of the lines of invoices; ``quantity`` is exact as cents are."""
JOURNAL = tuple(
    Column(name, {"date": TIME, "debit_cents": COUNT, "credit_cents": COUNT}.get(name, TEXT))
    for name in Posting._fields
)


def cells(columns: Sequence[Column], given: Mapping[str, Any]) -> list[Value]:
    """Return the cells of a row from the fields of an object; None for one that is absent."""
    return [_cell(column.kind, given.get(column.name)) for column in columns]


def _cell(kind: ColumnKind, value: Any) -> Value:
    if value is None:
        return None
    if kind is CENTS:
        return int(Decimal(value).scaleb(DECIMALS, _EXACT).to_integral_exact(context=_EXACT))
    if kind is TIME:
        return times.parse(value)
    found: Value = value
    return found
