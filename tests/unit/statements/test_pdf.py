"""Statements and invoices as PDF: the same bytes each time, exact amounts in every currency, pages that hold."""

import re
from decimal import Decimal

import pytest
from msgspec.structs import replace

from collector.invoicing import LineSum, close
from ingest.pdf.document import Row
from ingest.pdf.fonts import TEXT, pieces, width, wrapped
from ingest.pdf.layout import pdf
from ingest.statements.pdf_documents import invoice_document, major_exact, statement_document
from ingest.statements.statement_views import line_shown, shown
from schemas.billing import Billing, BillTo, major, parse_percent, percent, tax_of
from schemas.invoice_objects import InvoiceObject, invoice_shown
from schemas.invoices import Account, Issuer, Period
from schemas.limits import HOUR
from schemas.months import month_range
from tests.unit.statements.random_ledger import made
from warehouse.memory_statements import statement_rows
from warehouse.statement_rows import StatementQuery
from warehouse.statements import Statement, statement
from warehouse.time_range import TimeRange

TIME = month_range("2026-11")
PERIOD = Period("2026-11", TIME.start, TIME.end, TIME.start, TIME.start, TIME.end + HOUR, "closed")
BILLED = Billing("eur", 1900, "German VAT", 14, BillTo("Acme GmbH", "pay@acme.example", city="Berlin", country="DE"))
ISSUER = "Rev Systems Inc. | 1 Market Street | San Francisco"


def of_month(count: int = 120) -> Statement:
    query = StatementQuery("acme", False, TimeRange(*TIME), PERIOD.as_of, PERIOD.late_after, PERIOD.first)
    return statement(query, statement_rows(made(3, count), query))


def invoice(billing: Billing = BILLED) -> InvoiceObject:
    sums = LineSum(9, of_month().due)
    account = Account("", "0.4")
    made = close(
        Issuer("2026-11"), account, PERIOD, customer="acme", sums=sums, credits=[], now=TIME.end, billing=billing
    )  # fmt: skip
    return invoice_shown(made.invoices[0])


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (123450, "usd", "1,234.50"),
        (-5, "eur", "-0.05"),
        (1235, "jpy", "1,235"),
        (1235, "kwd", "1.235"),
        (0, "jpy", "0"),
    ],
)
def test_amounts_have_the_digits_of_their_currency(minor: int, currency: str, shown: str) -> None:
    assert major(minor, currency) == shown == major_exact(minor * 10**12, currency)


def test_exact_amounts_have_as_many_digits_as_they_need() -> None:
    assert [major_exact(pico, "usd") for pico in (1_220_000_000_000, 4 * 10**14, -1)] == [
        "0.0122", "4.00", "-0.00000000000001",
    ]  # fmt: skip
    assert (major_exact(-5 * 10**11, "jpy"), major_exact(5 * 10**11, "kwd")) == ("-0.5", "0.0005")


def test_tax_is_rounded_half_up_once() -> None:
    assert [tax_of(total, 1900) for total in (0, 2, 3, 50, 1125)] == [0, 0, 1, 10, 214]
    assert [parse_percent(text) for text in ("0", "19", "8.5", "8.25", "100")] == [0, 1900, 850, 825, 10_000]
    assert [percent(rate) for rate in (1900, 850, 825)] == ["19", "8.5", "8.25"]
    for wrong in ("", "100.01", "-1", "7.125", "1e1", "x"):
        with pytest.raises(ValueError, match="must be a percentage from 0 to 100"):
            parse_percent(wrong)


def test_the_same_document_has_the_same_bytes() -> None:
    """And no date of its making: a document of another state has others."""
    lines = [line_shown(row) for row in of_month().lines]
    one = pdf(invoice_document(invoice(), [], lines, ISSUER))
    assert one == pdf(invoice_document(invoice(), [], lines, ISSUER))
    assert one != pdf(invoice_document(replace(invoice(), paid_cents=1, balance_cents=4), [], lines, ISSUER))
    told = statement_document(shown("2026-11", of_month()), ISSUER)
    assert pdf(told) == pdf(told) != one


def test_the_amounts_of_a_document_are_those_of_the_ledger() -> None:
    """Rows add up to the sums below them, before rounding."""
    made = invoice()
    document = invoice_document(made, [], [line_shown(row) for row in of_month().lines], ISSUER)
    exact = sum(Decimal(row.amount.replace(",", "")) for row in document.rows) * 100
    assert exact == Decimal(bytes(made.lines_cents).decode()) + Decimal("0.4")
    sums = {one.words: one.amount for one in document.sums}
    assert sums["Subtotal, rounded once"] == major(made.total_cents, "eur")
    assert sums["Tax 19 % German VAT"] == major(made.tax_cents, "eur")
    assert sums["Total"] == sums["Amount due (EUR)"] == major(made.amount_due_cents, "eur")
    assert document.headline == f"{sums['Total']} EUR due December 15, 2026"
    assert made.tax_cents == tax_of(made.total_cents, 1900)


def test_a_long_table_goes_on_over_pages() -> None:
    """Each page says which one of how many it is; a name of any length and letters fits."""
    lines = [line_shown(row) for row in of_month(600).lines]
    many = invoice_document(invoice(), [], [*lines] * 4, ISSUER)
    pages = int(re.findall(rb"/Count (\d+)", pdf(many))[0])
    assert pages > 3
    odd = replace(BILLED, bill_to=BillTo("株式会社アクメ Łódź Ελλάδα Москва " + "x" * 200))
    named = invoice_document(invoice(odd), [], lines[:1], "")
    named = named._replace(rows=[Row("y" * 500, "z" * 500, "1", "1", "1")])
    assert re.findall(rb"/Count (\d+)", pdf(named)) == [b"1"]
    assert pdf(many._replace(rows=[])).startswith(b"%PDF-")


def test_lines_are_never_wider_than_their_room() -> None:
    text = "a few words and " + "w" * 90 + " 株式会社"
    lines = wrapped(text, TEXT, 9, 100)
    assert max(width(line, TEXT, 9) for line in lines) <= 100
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert "".join(piece.text for piece in pieces(text, TEXT)) == text
