"""Model of reservations: what each holds of hard budgets and prepaid credit until it ends, once. Pure.

Rules (docs/verify.md): a reservation holds its amount in every hard budget that is older than it and would count its
event, and up to the amount of the credit that none holds yet; it ends by an event, a release or, from its time on, the
expirer's command.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tools.verify.row_values import ZERO, Row, add, iso, loads

MAX_OPEN = 1000
MAX_TTL = 86_400_000
HISTORY = ("reservation.created", "reservation.released", "reservation.expired")
COMMANDS = ("reservation.create", "reservation.release", "reservation.expire", "reservation.read")


class ReservationModel(NamedTuple):
    """A reservation. ``row``: its labels as a charged row has them; times in ms."""

    id: int
    customer: str
    test: bool
    row: Row
    amount: Decimal
    credit: Decimal
    created: int
    expires: int
    status: str = "open"

    def shown(
        self, status: str, closed: int | None = None, event: int | None = None, charged: Decimal | None = None
    ) -> dict[str, Any]:
        """Return the reservation as the API shows it."""
        return {
            "reservation_id": f"rs_{self.id}",
            "customer_id": self.customer,
            "status": status,
            "amount_cents": self.amount,
            "credit_cents": self.credit,
            **{name: self.row[name] or None for name in ("agent_id", "action", "model")},
            "event_id": event,
            "charged_cents": charged,
            "expires_at": iso(self.expires),
            "created_at": iso(self.created),
            "closed_at": None if closed is None else iso(closed),
            "test": self.test,
        }


class ReservationModels:
    """The reservations of one customer and mode, by id."""

    def __init__(self, known: Mapping[int, ReservationModel] | None = None) -> None:
        self.known = dict(known or {})

    def copy(self) -> "ReservationModels":
        """Return reservations to try a command on."""
        return ReservationModels(self.known)

    @property
    def open(self) -> list[ReservationModel]:
        return [one for one in self.known.values() if one.status == "open"]

    @property
    def credit(self) -> Decimal:
        """What the open ones hold of prepaid credit."""
        held = ZERO
        for one in self.open:
            held = add(held, one.credit)
        return held

    def find(self, name: str) -> ReservationModel | None:
        """Return the reservation with this id, if there is one, whatever became of it."""
        return next((one for one in self.known.values() if f"rs_{one.id}" == name), None)

    def due(self, name: str, at: int) -> ReservationModel | None:
        """Return an open reservation whose time has not come."""
        one = self.find(name)
        return one if one is not None and one.status == "open" and at < one.expires else None

    def end(self, id: int, status: str) -> None:
        """Say how a reservation is; nothing if it is unknown."""
        if id in self.known:
            self.known[id] = self.known[id]._replace(status=status)


def inherited(row: Row) -> ReservationModel:
    """Return the reservation of a config row from before the log begins."""
    made = loads(row["detail"])
    labels = {name: made[name] or "" for name in ("agent_id", "action", "model")}
    return ReservationModel(
        id=row["event_id"],
        customer=row["customer_id"],
        test=row["test"],
        row={**labels, "api_key_id": row["api_key_id"]},
        amount=_cents(made["amount_cents"]),
        credit=_cents(made["credit_cents"]),
        created=row["recorded_at"],
        expires=_ms(made["expires_at"]),
    )


def id_in(detail: str) -> int:
    """Return the number of the reservation in the detail of a row."""
    return int(loads(detail)["reservation_id"].removeprefix("rs_"))


def labels_of(command: Mapping[str, Any]) -> Row:
    """Return the labels of what a reservation is for, as a charged row has them."""
    of = command.get("estimate") or command.get("event") or {}
    labels = {name: of.get(name) or "" for name in ("agent_id", "action", "model")}
    return {**labels, "api_key_id": command["api_key_id"]}


def _cents(shown: Any) -> Decimal:
    return Decimal(str(shown).removeprefix("\0"))


def _ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000
