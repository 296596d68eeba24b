"""Rules of voids: whether one is allowed, its row as its command determines it, and its relation to the row
that it voids. Pure except for its queries of OutcomeModels.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

from schemas.labels import LABELS
from tools.verify.outcome_model import PRICE, OutcomeModels, closing_price
from tools.verify.price_model import rated
from tools.verify.row_values import EXACT, Row, add, canonical, iso, quantities_of

PARTS = {name: f"{name}_cents" for name in ("base", "token", "bonus", "quantity", "total")}
TEXTS = (
    "agent_id", "action", "outcome", *LABELS, "idempotency_key", "on_expiry",
)  # fmt: skip
REPEATED = (
    "customer_id", "agent_id", "action", "tokens", "tokens_input", "tokens_output", "quantities", *LABELS,
    "outcome_id", "test", "event_time", "import_id", *PRICE,
)  # fmt: skip
"""Columns that a void shares with the row that it voids."""
VOIDABLE = ("event", "charge")
Lines = tuple[tuple[Any, ...], ...]


class VoidAddress(NamedTuple):
    """Position of a command in the log."""

    partition: int
    offset: int


def voidable(command: Mapping[str, Any], place: VoidAddress, outcomes: OutcomeModels) -> bool:
    """True if a shard, as far as it can know, allows an entry to be voided: the entry precedes the void,
    the amounts add up, and the statements about an outcome are true."""
    event_id, outcome_id = command["event_id"], command.get("outcome_id")
    *parts, total = _parts(command)
    lines = lines_of(command)
    before = event_id >> 10 & 63 == place.partition and 0 <= event_id >> 16 < place.offset
    capped = [line[-1] for line in lines if line[0] == "cap"]
    least = min(*parts[:3], total, Decimal(0) if capped else parts[3])
    if not before or least < 0 or reduce(add, parts) != total:
        return False
    cents = [line[-1] for line in lines if line[0] != "cap"]
    if min(cents, default=Decimal(0)) < 0:
        return False
    if lines and reduce(add, [*cents, *capped]) != add(parts[1], parts[3]):
        return False
    drawn = [cents for _, cents in draws_of(command)]
    credit = reduce(add, drawn, Decimal(0))
    if min(drawn, default=Decimal(0)) < 0 or credit != Decimal(command.get("credit", "0")) or credit > total:
        return False
    if command.get("charge", False):
        closed = outcomes.find(command["customer_id"], outcome_id or "", None)
        if closed is None or not closed.verdict or closed.closed_by != event_id:
            return False
        charge = closing_price(closed, closed.verdict)
        return charge != 0 and charge == total
    opened = outcomes.of_event(event_id)
    if opened is None:
        return outcome_id is None
    return outcome_id == opened.id and opened.kept["customer_id"] == command["customer_id"] and not opened.registered


def void_row(command: Mapping[str, Any]) -> Row:
    """Return the columns of a void that follow from its command."""
    event = command["event"]
    charge = command.get("charge", False)
    row: Row = {name: event.get(name) or "" for name in TEXTS}
    row |= {column: negated(part) for part, column in zip(_parts(command), PARTS.values(), strict=True)}
    row |= {
        "lines": opposite(lines_of(command)),
        "credit_cents": None if "credit" not in command else negated(Decimal(command["credit"])),
        "draws": tuple((grant, negated(cents)) for grant, cents in draws_of(command)),
        "quantities": quantities_of(event),
        "kind": "void",
        "config_type": "charge" if charge else "",
        "original": command["event_id"],
        "outcome_id": command.get("outcome_id") or "",
        "tokens": event.get("tokens", 0),
        "tokens_input": event.get("tokens_input"),
        "tokens_output": event.get("tokens_output"),
        "metadata": canonical(event["metadata"]) if "metadata" in event else "",
        "expires_at": event.get("expires_at"),
        "event_time": event["event_time"],
        "test": command.get("test", False),
        "actor": command.get("actor", "admin"),
        "reason": command["reason"],
        "import_id": command.get("import_id") or "",
    }
    return {**row, **_price(command.get("price"))}


def void_shown(row: Row) -> dict[str, Any]:
    """Return the void as the API shows it."""
    same = ("event_id", "customer_id", "agent_id", "action", "total_cents", "reason", "test")
    return {
        **{name: row[name] for name in same},
        "voided_event_id": row["original"],
        "outcome_id": row["outcome_id"] or None,
        "created_at": iso(row["recorded_at"]),
    }


def against(void: Row, original: Row | None) -> Iterator[tuple[str, Any, Any]]:
    """Yield the columns in which a void's row is not the opposite of the row that it voids, with the
    expected value and the void's value."""
    if original is None or original["kind"] not in VOIDABLE or original["event_id"] >= void["event_id"]:
        yield "original", "an event or charge before it", void["original"]
        return
    wanted: Row = {column: original[column] for column in REPEATED}
    wanted |= {column: negated(original[column]) for column in PARTS.values()}
    wanted["lines"] = opposite(original["lines"])
    credit = original["credit_cents"]
    wanted["credit_cents"] = None if credit is None else negated(credit)
    wanted["draws"] = tuple((grant, negated(cents)) for grant, cents in original["draws"])
    wanted["config_type"] = "charge" if original["kind"] == "charge" else ""
    yield from ((column, value, void[column]) for column, value in wanted.items() if void[column] != value)


def negated(amount: Decimal) -> Decimal:
    """Return the opposite amount, exactly."""
    return EXACT.minus(amount)


def opposite(lines: Lines) -> Lines:
    """Return the same lines with the opposite cents."""
    return tuple((*line[:-1], negated(line[-1])) for line in lines)


def lines_of(command: Mapping[str, Any]) -> Lines:
    """Return the lines of a command."""
    return tuple(
        (one["component"], Decimal(one["quantity"]), Decimal(one["rate"]), one["per"], Decimal(one["cents"]))
        for one in command.get("lines", ())
    )


def draws_of(command: Mapping[str, Any]) -> tuple[tuple[int, Decimal], ...]:
    """Return what a void gives back to which grant."""
    return tuple((draw["grant"], Decimal(draw["cents"])) for draw in command.get("draws", ()))


def _parts(command: Mapping[str, Any]) -> list[Decimal]:
    return [Decimal(command.get(part, "0")) for part in PARTS]


def _price(price: Mapping[str, Any] | None) -> Row:
    if price is None:
        return {}
    rates = price["rates"]
    return {
        "price_id": price["id"],
        "price_action": price["action_type"],
        "price_model": price.get("model") or "",
        "price_provider": price.get("provider") or "",
        "price_rates": rated(rates),
        "price_ignore_unknown": rates.get("ignore_unknown", False),
        "price_base": Decimal(rates["base"]),
        "price_token": Decimal(rates["token"]),
        "price_bonus": Decimal(rates["bonus"]),
        "price_is_default": price.get("is_default", False),
        "price_offset": price["offset"],
    }
