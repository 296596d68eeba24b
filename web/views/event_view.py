"""One event with everything about it. Pure; money in pico-cents, times in ms."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.ids import Address, address_of, outcome_id
from schemas.labels import LABELS
from schemas.money import parse_cents
from schemas.quantities import all_quantities
from warehouse.activity_rows import FullEntryRow, OutcomeStateRow, PriceSetRow
from warehouse.row_events import event_of_row
from web.exact_json import parsed
from web.views.event_lines import status_of
from web.views.price_rows import price_row
from web.views.price_terms import Explanation, explain

WHAT = {
    "event": "Event",
    "registered": "Outcome registered",
    "charge": "Outcome charged",
    "waived": "Outcome waived",
    "adjustment": "Adjustment",
    "void": "Void",
    "rejected": "Rejected",
}
"""What the kinds of entries are called."""
WHAT_CHARGE_VOID = "Void of the charge"


class HistoryLine(NamedTuple):
    """An entry in a history. ``reason``: of a void or rejection; ``verdict``: of what ended an outcome."""

    id: int
    kind: str
    what: str
    amount: int
    at: int
    verdict: str
    reason: str
    actor: str


class PriceRecord(NamedTuple):
    """The price record of an event: what it matched on, as (name, value), and since when it was set.

    ``terms``: all that it charges, in words; ``detail``: the record as the API shows it, JSON text. Both are empty
    if the ledger does not have the record in a form that this module knows.
    """

    id: int
    action: str
    matched: list[tuple[str, str]]
    is_default: bool
    customer: str
    since: int | None
    actor: str
    terms: str
    detail: str


class EventView(NamedTuple):
    """``void``: the entry that took the event back. ``outcome``: the one that the event opened. ``raw``: the row of
    the ledger, every column, as JSON text."""

    row: FullEntryRow
    customer: str
    status: str
    address: Address
    explanation: Explanation | None
    price: PriceRecord | None
    outcome: OutcomeStateRow | None
    history: list[HistoryLine]
    void: HistoryLine | None
    metadata: str
    labels: list[tuple[str, str]]
    quantities: list[tuple[str, str]]
    raw: str

    @property
    def total(self) -> int:
        """What was charged for the event."""
        return parse_cents(self.row.total)


def assemble(
    row: FullEntryRow,
    related: Sequence[FullEntryRow],
    set_: PriceSetRow | None,
    outcome: OutcomeStateRow | None,
    names: Mapping[str, str],
    raw: str,
) -> EventView:
    """Return the view of a priced or rejected event. ``related``: it and the entries that refer to it."""
    history = [entry_line(one) for one in related]
    voids = [one for one, entry in zip(history, related, strict=True) if is_void_of(entry, row.event_id)]
    return EventView(
        row=row,
        customer=names.get(row.customer_id, row.customer_id),
        status=status_of(row.kind, bool(voids)),
        address=address_of(row.event_id),
        explanation=explain(row) if row.kind == "event" else None,
        price=_price(row, set_),
        outcome=outcome,
        history=history,
        void=voids[0] if voids else None,
        metadata=pretty(row.metadata),
        labels=[(name, getattr(row, name)) for name in LABELS if getattr(row, name)],
        quantities=list(all_quantities(event_of_row(row)).items()),
        raw=pretty(raw),
    )


def for_customer(view: EventView) -> EventView:
    """Return the view without what is the owner's alone: the rows as they are stored, who set the price and who
    made a void."""
    return view._replace(
        raw="",
        price=view.price._replace(actor="", detail="") if view.price else None,
        history=[one._replace(actor="") for one in view.history],
        void=view.void._replace(actor="") if view.void else None,
    )


def entry_line(row: FullEntryRow) -> HistoryLine:
    """Return an entry as a line of a history."""
    return HistoryLine(
        id=row.event_id,
        kind=row.kind,
        what=WHAT_CHARGE_VOID if row.config_type == "charge" else WHAT.get(row.kind, row.kind),
        amount=parse_cents(row.total),
        at=row.recorded_at,
        verdict=row.verdict,
        reason=row.reason,
        actor=row.actor,
    )


def is_void_of(entry: FullEntryRow, event: int) -> bool:
    """True if the entry takes back the one with this id."""
    return entry.kind == "void" and entry.original == event


def pretty(text: str) -> str:
    """Return JSON text indented, its numbers digit by digit as they were sent; '' for nothing and for null."""
    if text in ("", "null"):
        return ""
    try:
        return _indented(json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number))
    except (ValueError, RecursionError):
        return text


def opened_outcome(row: FullEntryRow) -> str:
    """Return the id of the outcome that an event opened, or ''."""
    return row.outcome_id if row.outcome_id == outcome_id(row.event_id) else ""


class _Number(str):
    """A JSON number as it was written."""


def _indented(value: object, margin: str = "") -> str:
    inner = margin + "  "
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict) and value:
        parts = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {_indented(one, inner)}" for key, one in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + _indented(one, inner) for one in value) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=False)


def _price(row: FullEntryRow, set_: PriceSetRow | None) -> PriceRecord | None:
    if not row.price_id:
        return None
    matched = [("action", "any" if row.price_action == "*" else row.price_action)]
    matched += [(name, text) for name, text in (("model", row.price_model), ("provider", row.price_provider)) if text]
    return PriceRecord(
        id=row.price_id,
        action=row.price_action,
        matched=matched,
        is_default=row.price_is_default,
        customer="" if row.price_is_default else row.customer_id,
        since=set_.at if set_ else None,
        actor=set_.actor if set_ else "",
        terms=_terms(set_.detail) if set_ else "",
        detail=pretty(set_.detail) if set_ else "",
    )


def _terms(detail: str) -> str:
    try:
        return price_row(parsed(detail)).words
    except (KeyError, TypeError, ValueError):
        # a record of an older form; its JSON is shown in any case
        return ""
