"""The documents of statements and invoices. Pure; every amount is exact, in the currency's major unit."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from msgspec import UNSET, Raw, UnsetType

from ingest.pdf.document import PdfDocument, Row, Sum
from ingest.statements.statement_views import StatementLine, StatementShown
from schemas import times
from schemas.billing import MINOR_DIGITS, BillTo, major
from schemas.invoice_objects import CreditNoteObject, InvoiceObject
from schemas.money import DECIMALS, parse_cents

STATES = {
    "draft": "Draft",
    "final": "due",
    "paid": "Paid",
    "void": "Void",
    "uncollectible": "Uncollectible",
}


def statement_document(made: StatementShown, issuer: str) -> PdfDocument:
    """Return the document of a statement. ``issuer``: name and address, ``|`` between lines."""
    code = made.currency.upper()
    facts = [("Month", made.month), ("As of", _moment(made.as_of))]
    facts += [("Mode", "test: nothing of it is due")] if made.test else []
    due = exact(made.due_cents, made.currency)
    sums = [Sum("Subtotal", exact(made.subtotal_cents, made.currency))]
    if parse_cents(_text(made.voided_cents)):
        sums.append(Sum("Voided", exact(made.voided_cents, made.currency)))
    if made.credits_cents is not UNSET:
        sums.append(Sum("Paid by prepaid credit", major_exact(-parse_cents(_text(made.credits_cents)), made.currency)))
    return PdfDocument(
        title="Statement",
        name=f"{made.customer_id} {made.month}",
        facts=facts,
        parties=_parties(issuer, [made.customer_id]),
        headline=f"{due} {code} for {made.month}",
        amount_title=f"Amount ({code})",
        rows=[_row(line, made.currency) for line in made.lines],
        sums=[*sums, Sum(f"Due ({code})", due, is_strong=True)],
        notes=[
            "Amounts are exact and not rounded. A statement as of the same time is always the same.",
        ],
        foot=f"{made.customer_id} · {made.month} · as of {_moment(made.as_of)}",
    )


def invoice_document(
    invoice: InvoiceObject, notes: Sequence[CreditNoteObject], lines: Sequence[StatementLine], issuer: str
) -> PdfDocument:
    """Return the document of an invoice. ``issuer``: name and address, ``|`` between lines."""
    code, number = invoice.currency.upper(), invoice.number or "draft"
    due = major(invoice.amount_due_cents, invoice.currency)
    facts = [("Invoice number", number)]
    facts += [("Date of issue", _day(invoice.finalized_at))] if invoice.finalized_at else []
    facts += [("Date due", _day(invoice.due_at))] if invoice.due_at else []
    zone = UTC if isinstance(invoice.time_zone, UnsetType) else ZoneInfo(invoice.time_zone)
    facts += [("Period", f"{_day(invoice.start, zone=zone)} to {_day(invoice.end, -1, zone)}")]
    rows = [_row(line, invoice.currency) for line in lines]
    if credits := parse_cents(_text(invoice.credits_cents)):
        rows.append(Row("Paid by prepaid credit", "", "", "", major_exact(-credits, invoice.currency)))
    carried = parse_cents(_text(invoice.carried_in_cents))
    if carried:
        amount = exact(invoice.carried_in_cents, invoice.currency)
        rows.append(Row("Carried over from the invoice before", "", "", "", amount))
    sums = [Sum("Subtotal, rounded once", major(invoice.total_cents, invoice.currency))]
    if invoice.tax_cents or parse_cents(_text(invoice.tax_percent)):
        words = f"Tax {_text(invoice.tax_percent)} % {invoice.tax_reason}".rstrip()
        sums.append(Sum(words[:46], major(invoice.tax_cents, invoice.currency)))
    sums.append(Sum("Total", due, is_strong=True))
    sums += [
        Sum(f"Credit note {note.number}", major(-note.total_cents - note.tax_cents, invoice.currency)) for note in notes
    ]
    if invoice.paid_cents:
        sums.append(Sum("Paid", major(-invoice.paid_cents, invoice.currency)))
    sums.append(Sum(f"Amount due ({code})", major(invoice.balance_cents, invoice.currency), is_strong=True))
    headline = f"{due} {code}"
    if invoice.state == "final" and invoice.due_at:
        headline = f"{major(invoice.balance_cents, invoice.currency)} {code} due {_day(invoice.due_at)}"
    elif invoice.state != "final":
        headline = f"{due} {code} · {STATES[invoice.state]}"
    told = []
    if parse_cents(_text(invoice.carried_out_cents)):
        left = exact(invoice.carried_out_cents, invoice.currency)
        told.append(f"Rounding leaves {left} {code}, which the next invoice carries over.")
    return PdfDocument(
        title="Invoice",
        name=number,
        facts=facts,
        parties=_parties(issuer, _bill_to(invoice.customer_id, invoice.bill_to)),
        headline=headline,
        amount_title=f"Amount ({code})",
        rows=rows,
        sums=sums,
        notes=told,
        foot=f"{number} · {invoice.customer_id}",
    )


def exact(amount: Raw, currency: str) -> str:
    """Return an exact amount in minor units in the major unit: at least the currency's digits, no more than needed."""
    return major_exact(parse_cents(_text(amount)), currency)


def major_exact(pico: int, currency: str) -> str:
    """Return pico-cents of a currency in its major unit, exact.

    >>> major_exact(1_220_000_000_000, "usd"), major_exact(-5 * 10**11, "jpy"), major_exact(4 * 10**14, "usd")
    ('0.0122', '-0.5', '4.00')
    """
    digits = MINOR_DIGITS[currency]
    places = DECIMALS + digits
    whole, part = divmod(abs(pico), 10**places)
    shown = f"{part:0{places}d}".rstrip("0").ljust(digits, "0")
    sign = "-" if pico < 0 else ""
    return f"{sign}{whole:,}.{shown}" if shown else f"{sign}{whole:,}"


def _row(line: StatementLine, currency: str) -> Row:
    amount = exact(line.amount_cents, currency)
    names = " · ".join(name for name in (line.model, line.provider) if name is not UNSET)
    late = "from an earlier month" if line.late else ""
    if line.kind == "void":
        of = f"event {line.voided_event_id}" if line.voided_event_id is not UNSET else "several events"
        reason = f": {line.reason}" if line.reason is not UNSET else ""
        return Row(f"{line.action}, voided", " · ".join(filter(None, (f"{of}{reason}", late))), "", "", amount)
    detail = " · ".join(filter(None, (names, f"price {line.price_id}" if line.price_id is not UNSET else "", late)))
    assert line.rate_cents is not UNSET and line.quantity is not UNSET and line.component is not UNSET
    rate = exact(line.rate_cents, currency)
    per = f" / {line.per:,}" if line.per is not UNSET and line.per != 1 else ""
    return Row(f"{line.action}, {line.component}", detail, _grouped(_text(line.quantity)), rate + per, amount)


def _parties(issuer: str, customer: Sequence[str]) -> list[tuple[str, Sequence[str]]]:
    billed: tuple[str, Sequence[str]] = ("Bill to", customer)
    lines = [line.strip() for line in issuer.split("|") if line.strip()]
    return [("From", lines), billed] if lines else [billed]


def _bill_to(customer: str, to: BillTo) -> list[str]:
    city = " ".join(part for part in (to.postal_code, to.city) if part)
    lines = [to.name or customer, to.line1, to.line2, city, " ".join(filter(None, (to.state, to.country))), to.email]
    lines.append(f"Tax id {to.tax_id}" if to.tax_id else "")
    lines.append(f"Customer {customer}" if to.name and to.name != customer else "")
    return [line for line in lines if line]


def _grouped(number: str) -> str:
    """Return decimal text with commas between thousands."""
    whole, dot, part = number.partition(".")
    return f"{int(whole):,}{dot}{part}"


def _text(value: Raw) -> str:
    return bytes(value).decode()


def _day(moment: str, shift: int = 0, zone: tzinfo = UTC) -> str:
    """Return the day of a time in a time zone; ``shift``: ms to add to it."""
    at = datetime.fromtimestamp((times.parse(moment) + shift) / 1000, zone)
    return f"{at:%B} {at.day}, {at.year}"


def _moment(moment: str) -> str:
    return moment.replace("T", " ").replace(".000Z", "Z").replace("Z", " UTC")
