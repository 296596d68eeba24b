"""Money, numbers and times as pages show them. Pure and exact; no floats.

Money is an integer of pico-cents. A page always shows dollars, with the exact cents on hover, so that nobody has to
guess the unit.
"""

from datetime import UTC, datetime

from markupsafe import Markup

from schemas.money import dollars_exact, dollars_rounded, format_cents
from schemas.objects import iso

MINUS = "−"
NOTHING = "–"
_SHORT = ("", "k", "M", "B", "T")


def grouped(number: int) -> str:
    """Return ``12,345``."""
    return f"{number:,}".replace("-", MINUS)


def dollars(pico: int) -> str:
    """Return ``$1,234.57``, rounded half up once. What rounds to nothing but is something is ``<$0.01``."""
    if pico < 0:
        return MINUS + dollars(-pico)
    whole, _, part = dollars_rounded(pico).partition(".")
    if pico and (whole, part) == ("0", "00"):
        return "<$0.01"
    return f"${int(whole):,}.{part}"


def dollars_in_full(pico: int) -> str:
    """Return exact dollars with at least two decimals: ``$0.0147``, ``$5.00``."""
    if pico < 0:
        return MINUS + dollars_in_full(-pico)
    whole, _, part = dollars_text(pico).partition(".")
    return f"${int(whole):,}.{part}"


def dollars_text(pico: int) -> str:
    """Return exact dollars with at least two decimals and nothing else: ``0.0147``, ``1500.00``."""
    whole, _, part = dollars_exact(pico).partition(".")
    return f"{whole}.{part:0<2}"


def cents(pico: int) -> str:
    """Return the exact amount in words: ``1.47 cents``."""
    return f"{format_cents(pico)} cent{'' if format_cents(pico) == '1' else 's'}"


def exact_cents(pico: int) -> Markup:
    """Return an exact amount in cents, the dollars on hover: ``1.47 ¢``."""
    text = format_cents(pico)
    return Markup('<data class="money" value="{}" title="{}">{} ¢</data>').format(
        text, dollars_in_full(pico), text.replace("-", MINUS)
    )


def money(pico: int) -> Markup:
    """Return a sum: dollars rounded to two decimals, the exact cents on hover."""
    return Markup('<data class="money" value="{}" title="{}">{}</data>').format(
        format_cents(pico), cents(pico), dollars(pico)
    )


def price(pico: int) -> Markup:
    """Return a price: exact dollars, the cents on hover."""
    return Markup('<data class="money" value="{}" title="{}">{}</data>').format(
        format_cents(pico), cents(pico), dollars_in_full(pico)
    )


def rate(pico: int) -> Markup:
    """Return a rate in exact cents, ``0.0003¢``, the dollars on hover; a dash for nothing."""
    if pico == 0:
        return Markup('<span class="none">{}</span>').format(NOTHING)
    return Markup('<data class="money" value="{}" title="{}">{}¢</data>').format(
        format_cents(pico), dollars_in_full(pico), format_cents(pico)
    )


def short(number: int) -> str:
    """Return a count in at most four digits and a letter: ``999``, ``1.2k``, ``34M``. Cut, not rounded."""
    size = abs(number)
    step = min((len(str(size)) - 1) // 3, len(_SHORT) - 1)
    whole, rest = divmod(size, 1000**step)
    part = f".{rest * 10 // 1000**step}" if step and whole < 10 else ""
    return f"{MINUS if number < 0 else ''}{whole:,}{part.removesuffix('.0')}{_SHORT[step]}"


def percent(part: int, whole: int) -> str:
    """Return ``97.3 %``, rounded half up to one decimal; a dash if there is no whole."""
    if whole == 0:
        return NOTHING
    tenths = (2000 * part + whole) // (2 * whole)
    return f"{tenths // 10}.{tenths % 10} %"


def change(now: int, before: int) -> tuple[str, str]:
    """Return how a figure changed, and in which direction: ``("+12.5 %", "up")``; nothing to compare: ``("", "")``."""
    if before <= 0:
        return "", ""
    difference = now - before
    tenths = (2000 * abs(difference) + before) // (2 * before)
    if tenths == 0:
        return "0.0 %", "flat"
    number = f"{tenths // 10:,}" if tenths >= 1000 else f"{tenths // 10}.{tenths % 10}"
    return (f"+{number} %", "up") if difference > 0 else (f"{MINUS}{number} %", "down")


def moment(at: int) -> Markup:
    """Return a time in UTC, which web/static/times.js shows in the reader's zone, with UTC on hover."""
    known = datetime.fromtimestamp(at // 1000, UTC)
    return Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{:%d %b %H:%M} UTC</time>').format(
        iso(at), known, known
    )
