"""Amounts that depend on what is older than the log, taken from the rows of the ledger. Pure.

What a month had counted before the log begins is unknown, so a row need only agree with itself. Where later records
depend on the amount (budgets, credit and reservations do), the model goes on with that of the row.
"""

from decimal import Decimal

from tools.verify.amounts import amounts_of_row
from tools.verify.row_values import STEPPED, Row, loads


def as_charged(row: Row, found: list[Row]) -> Row:
    """Return an event's row with the amounts of the ledger's, if those agree with each other."""
    for one in found:
        made = amounts_of_row(one) if one["kind"] == "event" and one["raw_index"] == row["raw_index"] else None
        if made is not None:
            return {**row, **made, "price_base": one["price_base"]}
    return row


def as_held(amount: Decimal | None, priced_by: Row, found: list[Row]) -> tuple[Decimal | None, Row]:
    """Return what a reservation holds as the ledger's row says it, None if it was refused, and its price."""
    priced_by = {name: value for name, value in priced_by.items() if name != STEPPED}
    for row in found:
        if row["config_type"] == "reservation.created":
            held = Decimal(str(loads(row["detail"])["amount_cents"]).removeprefix("\0"))
            return held, {**priced_by, "price_base": row["price_base"]}
        amount = None if row["kind"] == "rejected" else amount
    return amount, priced_by
