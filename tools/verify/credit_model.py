"""Model of prepaid credit: what each grant has left, and what a charge takes out of which. Pure.

Rules (docs/verify.md): by expiry, then priority, then id; nothing out of a grant that has expired by accepted time; a
void gives back to the grants that it came from.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import ROUND_DOWN, Context, Decimal
from typing import Any, NamedTuple

from tools.verify.row_values import EXACT, ZERO, Row, add, iso, loads

MAX_GRANTS = 100
NOTICES = ("credit.low", "credit.exhausted")
MAX_AMOUNT = Decimal(10**12)
Draws = tuple[tuple[int, Decimal], ...]


class GrantModel(NamedTuple):
    """A grant; ``expires``: ms, None for never."""

    id: int
    expires: int | None
    priority: int
    left: Decimal
    ended: bool = False
    """Its expiry is recorded."""


class CreditModel:
    """The grants of one customer and mode, by id."""

    def __init__(self, known: Mapping[int, GrantModel] | None = None) -> None:
        self.known = dict(known or {})
        self.low: Decimal | None = None
        """The balance of which a notice is given."""
        self.noticed = ""
        """The type of the last notice since the latest grant."""
        self.drew = False

    def copy(self) -> "CreditModel":
        """Return credit to try a command on."""
        copied = CreditModel(self.known)
        copied.low, copied.noticed = self.low, self.noticed
        return copied

    def granted(self, grant: GrantModel, percent: int | None, at: int) -> None:
        """Add a grant; ``percent``: of the balance then, below which it is low."""
        self.known[grant.id] = grant
        self.noticed, self.low = "", None
        if percent is not None:
            share = EXACT.divide(EXACT.multiply(self.available(at, ZERO), Decimal(percent)), Decimal(100))
            self.low = share.quantize(Decimal("1e-12"), ROUND_DOWN, Context(prec=100))

    def notice(self, at: int) -> str:
        """Return the type of the notice that what was drawn calls for; nothing if none."""
        if not self.drew or self.low is None or self.noticed == NOTICES[1]:
            return ""
        balance = self.available(at, ZERO)
        if balance == 0:
            return NOTICES[1]
        return NOTICES[0] if not self.noticed and balance <= self.low else ""

    def drawable(self, at: int) -> list[GrantModel]:
        """Return the grants that can be drawn at an accepted time, in order."""
        found = [one for one in self.known.values() if one.left and (one.expires is None or one.expires > at)]
        never = float("inf")
        return sorted(found, key=lambda one: (never if one.expires is None else one.expires, one.priority, one.id))

    def available(self, at: int, held: Decimal) -> Decimal:
        """Return what can be drawn; ``held``: by open reservations."""
        have = ZERO
        for one in self.drawable(at):
            have = add(have, one.left)
        return max(EXACT.subtract(have, held), ZERO)

    def pay(self, row: Row, held: Decimal) -> None:
        """Draw a charged row's total as far as there is credit that is not held, and say so in the row; nothing without
        a grant ever."""
        if not self.known:
            return
        due, draws = min(row["total_cents"], self.available(row["recorded_at"], held)), []
        for one in self.drawable(row["recorded_at"]):
            part = min(due, one.left)
            if part:
                due = EXACT.subtract(due, part)
                self.known[one.id] = one._replace(left=EXACT.subtract(one.left, part))
                draws.append((one.id, part))
        paid = ZERO
        for _, part in draws:
            paid = add(paid, part)
        self.drew = self.drew or bool(draws)
        row |= {"credit_cents": paid, "draws": tuple(draws)}

    def expire(self, id: int) -> None:
        """Note that the expiry of a grant is recorded."""
        if id in self.known:
            self.known[id] = self.known[id]._replace(ended=True)

    def take(self, draws: Iterable[tuple[int, Decimal]]) -> None:
        """Take draws out of their grants; negative ones give back."""
        for id, cents in draws:
            if id in self.known:
                one = self.known[id]
                self.known[id] = one._replace(left=EXACT.subtract(one.left, cents))


def inherited(row: Row) -> GrantModel:
    """Return the grant of a config row from before the log begins."""
    made = loads(row["detail"])
    expires = made["expires_at"]
    amount = Decimal(str(made["amount_cents"]).removeprefix("\0"))
    return GrantModel(made["id"], None if expires is None else _ms(expires), made["priority"], amount)


def grant_shown(id: int, command: Mapping[str, Any], at: int) -> dict[str, Any]:
    """Return a new grant as the API shows it."""
    expires, amount = command.get("expires_at"), Decimal(command["amount"])
    return {
        "id": id,
        "customer_id": command["customer_id"],
        "amount_cents": amount,
        "left_cents": amount,
        "expires_at": None if expires is None else iso(expires),
        "priority": command.get("priority", 50),
        "reason": command["reason"],
        "created_at": iso(at),
        "test": command.get("test", False),
        **{name: command[name] for name in ("low_percent", "category") if name in command},
    }


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
