"""Prepaid credit: grants are drawn in order, and a void gives back to the grants that it came from. Pure.

The order is expiry, then priority, then id. Nothing is drawn from a grant that has expired by the accepted time; what
is given back to one stays expired. See docs/decisions/0041.
"""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from pricer.budgets import EVENT, Change, SpendRefusal
from schemas import spending
from schemas.funding import Draw
from schemas.money import format_cents, parse_cents
from schemas.spending import Grant
from streams.types import StateView

INSUFFICIENT = "insufficient_credit"


class UnknownGrant(LookupError):
    """A void names a grant that the customer never had."""


class CreditTransaction:
    """The grants of a customer in one mode while a command is decided at the accepted time ``at``.

    The state holds those that may be drawn in one value, until their expiry is recorded, and each that is used up or
    has ended in one of its own, so that an event reads no more than what it may draw. ``held``: pico-cents that open
    reservations keep from being drawn.
    """

    def __init__(self, shard: StateView, customer_id: str, test: bool, at: int, held: int = 0) -> None:
        self._shard = shard
        self._owner = customer_id, test
        self._at = at
        self.held = held
        stored = shard.get(spending.grants_key(customer_id, test))
        self._grants = [] if stored is None else list(spending.decode_grants(stored))
        self._left = {grant.id: parse_cents(grant.left) for grant in self._grants}
        self._reopened: set[int] = set()
        self._ended: set[int] = set()
        self._first = 0
        self._changed = False

    @property
    def available(self) -> int:
        """Pico-cents that can be drawn and that no reservation holds. Grants may expire under a reservation."""
        return max(self.balance - self.held, 0)

    @property
    def balance(self) -> int:
        """Pico-cents that can be drawn."""
        return sum(self._left[grant.id] for grant in self._grants[self._first :] if not grant.expired(self._at))

    def hold(self, amount: int) -> int:
        """Hold up to an amount; return how much, in pico-cents."""
        part = min(amount, self.available)
        self.held += part
        return part

    def refusal(self, amount: int, asks: str = EVENT) -> SpendRefusal | None:
        """Return why so many pico-cents are refused if credit must cover them. ``asks``: what for, in words."""
        balance = self.available
        if amount <= balance:
            return None
        left = format_cents(balance)
        error = f"prepaid credit has {left} cents left; this {asks} {format_cents(amount)}"
        return SpendRefusal(INSUFFICIENT, error, balance=left)

    def draw(self, amount: int) -> tuple[Draw, ...]:
        """Draw up to an amount in pico-cents, in order, of what no reservation holds."""
        draws = []
        if self.held:
            amount = min(amount, self.available)
        grants, left = self._grants, self._left
        while amount and self._first < len(grants):
            grant = grants[self._first]
            part = 0 if grant.expired(self._at) else min(amount, left[grant.id])
            if part:
                left[grant.id] -= part
                amount -= part
                draws.append(Draw(grant.id, format_cents(part)))
                self._changed = True
            if amount:
                self._first += 1
        return tuple(draws)

    def give_back(self, draws: Iterable[Draw]) -> None:
        """Give draws back to their grants. Raises UnknownGrant."""
        for draw in draws:
            if draw.grant not in self._left:
                stored = self._shard.get(spending.grant_key(*self._owner, draw.grant))
                if stored is None:
                    raise UnknownGrant(draw.grant)
                grant = spending.decode_grant(stored)
                self._grants.append(grant)
                self._left[grant.id] = parse_cents(grant.left)
                self._reopened.add(grant.id)
            self._left[draw.grant] += parse_cents(draw.cents)
            self._changed = True

    def add(self, grant: Grant) -> None:
        """Add a new grant."""
        self._grants.append(grant)
        self._left[grant.id] = parse_cents(grant.amount)
        self._changed = True

    def expire(self, id: int) -> Grant | None:
        """End a grant that has expired with credit left; None if there is no such grant."""
        grant = next((one for one in self._grants if one.id == id), None)
        if grant is None or not grant.expired(self._at):
            return None
        self._ended.add(id)
        self._changed = True
        return grant

    def drawable(self) -> list[Grant]:
        """Return the grants that can be drawn, in order."""
        return sorted(
            (
                replace(grant, left=format_cents(self._left[grant.id]))
                for grant in self._grants
                if self._left[grant.id] and not grant.expired(self._at)
            ),
            key=lambda grant: grant.order,
        )

    def changes(self) -> Iterator[Change]:
        """Yield what the state must hold."""
        if not self._changed:
            return
        grants = [
            replace(one, left=format_cents(self._left[one.id]), ended=one.ended or one.id in self._ended)
            for one in sorted(self._grants, key=lambda one: one.order)
        ]
        stay = [one for one in grants if one.left != "0" and not one.ended]
        yield spending.grants_key(*self._owner), spending.encode(stay)
        here = {grant.id for grant in stay}
        for grant in grants:
            if grant.id not in here:
                closed = grant
                yield spending.grant_key(*self._owner, grant.id), spending.encode(closed)
            elif grant.id in self._reopened:
                yield spending.grant_key(*self._owner, grant.id), None
