"""Outcomes: open ones with what is at stake, closed ones with what they cost, and one in full. Pure; pico-cents, ms."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from schemas.money import parse_cents
from schemas.raw_json import NULL
from warehouse.activity_rows import FullEntryRow, OutcomeStateRow
from web.views.event_view import HistoryLine, entry_line, is_void_of, pretty


class OutcomeLine(NamedTuple):
    """``title``: its task, or else its id. ``stake``: what it adds if it succeeds; ``cost``: charged, less a void."""

    id: str
    title: str
    customer: str
    customer_id: str
    agent: str
    action: str
    state: str
    due: int
    ended: int | None
    stake: int
    cost: int
    voided: bool
    test: bool


class OutcomeView(NamedTuple):
    """``charge``: the entry that charged it, if one did; ``void``: the entry that took the charge or the event back."""

    row: OutcomeStateRow
    line: OutcomeLine
    on_success: int
    on_failure: int
    criteria: str
    evidence: str
    history: list[HistoryLine]
    charge: HistoryLine | None
    void: HistoryLine | None


class _Detail(msgspec.Struct, frozen=True):
    """What only the object of an outcome holds."""

    success_criteria: msgspec.Raw = msgspec.field(default_factory=lambda: NULL)
    evidence: msgspec.Raw = msgspec.field(default_factory=lambda: NULL)


def outcome_line(row: OutcomeStateRow, names: Mapping[str, str]) -> OutcomeLine:
    """Return an outcome as a line of a table. ``names``: of customers."""
    is_open = row.state == "pending"
    return OutcomeLine(
        id=row.outcome_id,
        title=row.task_id or row.outcome_id,
        customer=names.get(row.customer_id, row.customer_id),
        customer_id=row.customer_id,
        agent=row.agent_id,
        action=row.action,
        state=row.state,
        due=row.due,
        ended=None if is_open else row.ended or row.due,
        stake=parse_cents(row.on_success) if is_open and not row.voided else 0,
        cost=parse_cents(row.revenue),
        voided=row.voided,
        test=row.test,
    )


def assemble(row: OutcomeStateRow, related: Sequence[FullEntryRow], names: Mapping[str, str]) -> OutcomeView:
    """Return one outcome. ``related``: its entries, in the order of the log."""
    charged = [one for one in related if one.kind == "charge"]
    taken = {row.event_id, *(one.event_id for one in charged)}
    voids = [one for one in related if any(is_void_of(one, id) for id in taken)]
    detail = msgspec.json.decode(row.detail, type=_Detail) if row.detail else _Detail()
    return OutcomeView(
        row=row,
        line=outcome_line(row, names),
        on_success=parse_cents(row.on_success),
        on_failure=parse_cents(row.on_failure),
        criteria=pretty(bytes(detail.success_criteria).decode()),
        evidence=pretty(bytes(detail.evidence).decode()),
        history=[entry_line(one) for one in related],
        charge=entry_line(charged[0]) if charged else None,
        void=entry_line(voids[0]) if voids else None,
    )


def for_customer(view: OutcomeView) -> OutcomeView:
    """Return the view without what is the owner's alone: who made a void."""
    return view._replace(
        history=[one._replace(actor="") for one in view.history],
        charge=view.charge._replace(actor="") if view.charge else None,
        void=view.void._replace(actor="") if view.void else None,
    )
