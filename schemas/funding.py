"""How an amount is paid: out of prepaid credit, grant by grant, and what is left to pay. Pure."""

import msgspec

from schemas.money import format_cents, parse_cents
from schemas.quantities import Itemized


class Draw(msgspec.Struct, frozen=True, gc=False):
    """What an entry takes out of one grant: ``cents``, decimal text; negative where a void gives it back."""

    grant: int
    cents: str


class Funded(Itemized, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """The part of an amount that prepaid credit pays, as entries and voids hold it.

    ``credit`` is the sum of ``draws``, decimal text in cents; None for a customer without any grant until then.
    """

    credit: str | None = None
    draws: tuple[Draw, ...] = ()


def due(total: str, credit: str) -> str:
    """Return what credit leaves to pay of an amount, in cents."""
    return format_cents(parse_cents(total) - parse_cents(credit))
