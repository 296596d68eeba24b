"""The general ledger journal of prepaid credit that customers paid for. Pure; amounts in minor units.

What was paid is deferred revenue, and becomes revenue as it is drawn, and breakage when it expires. Promotional credit
is not posted: nobody paid for it, and what it pays is not billed. Draws are exact and postings whole: after each month
a grant's revenue is what was drawn of it until then, rounded half up, so it is never more than the grant.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from schemas.money import PICO
from schemas.months import month_range
from schemas.objects import iso
from tools.exporter.postings import CASH, REVENUE, Posting

DEFERRED, BREAKAGE = "deferred_revenue", "breakage_revenue"


class Use(NamedTuple):
    """What was drawn of a grant in a month, less what voids gave back, in pico-cents; ``last``: when, in ms.

    A month's draws are those that were accepted in it, so that a month that is over stays as it is.
    """

    cents: int
    last: int


class PaidGrant(NamedTuple):
    """A grant that was paid for: pico-cents, times in ms, and its use by month."""

    id: int
    customer_id: str
    currency: str
    amount: int
    created_at: int
    expires_at: int | None
    used: Mapping[str, Use]


def credit_postings(month: str, grants: Iterable[PaidGrant]) -> Iterator[Posting]:
    """Yield the postings of a month that is over."""
    for grant in grants:
        yield from _of_grant(month, grant)


def _of_grant(month: str, grant: PaidGrant) -> Iterator[Posting]:
    start, end = month_range(month)
    amount = _rounded(grant.amount)
    if start <= grant.created_at < end:
        yield from _moved(grant, grant.created_at, "is paid", amount, CASH, DEFERRED)
    earned = _earned(grant, month)
    earned_before = _earned(grant, month, before=True)
    use = grant.used.get(month)
    if use is not None:
        yield from _moved(grant, use.last, "is drawn", earned - earned_before, DEFERRED, REVENUE)
    if grant.expires_at is not None and grant.expires_at < end:
        # what a void gives back to an expired grant stays there
        lapsed = amount - earned - (amount - earned_before if grant.expires_at < start else 0)
        at = grant.expires_at if grant.expires_at >= start or use is None else use.last
        yield from _moved(grant, at, "has expired", lapsed, DEFERRED, BREAKAGE)


def _earned(grant: PaidGrant, month: str, before: bool = False) -> int:
    """Return the revenue of a grant until the end of a month, or until its begin."""
    return _rounded(sum(use.cents for of, use in grant.used.items() if of < month or (of == month and not before)))


def _rounded(pico: int) -> int:
    return (pico + PICO // 2) // PICO


def _moved(grant: PaidGrant, at: int, what: str, cents: int, debit: str, credit: str) -> Iterator[Posting]:
    """Yield both sides; a negative amount is posted the other way round."""
    if cents < 0:
        cents, debit, credit = -cents, credit, debit
    if cents:
        for account, amounts in ((debit, (cents, 0)), (credit, (0, cents))):
            yield Posting(
                date=iso(at),
                document=f"credit-{grant.id}",
                account=account,
                debit_cents=amounts[0],
                credit_cents=amounts[1],
                currency=grant.currency,
                customer_id=grant.customer_id,
                memo=f"prepaid credit {grant.id} {what}",
            )
