"""Outcomes of the ledger as the API shows them: the same object that the shard answers with. Pure."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from ingest.reads import cursors
from ingest.reads.params import OUTCOME_LIST
from schemas.commands import OnExpiry
from schemas.money import format_cents, parse_cents
from schemas.objects import OutcomeObject, as_json, decode_outcome, decode_standing, outcome_object
from schemas.state import OpenOutcome
from warehouse.rows import ClosingRow, OutcomeQuery, OutcomeRow


class OutcomeList(msgspec.Struct, frozen=True):
    """GET /v1/outcomes, newest first."""

    outcomes: Sequence[OutcomeObject]
    next_cursor: str | None


def with_status(detail: str, standing: bytes) -> bytes:
    """A closed outcome as its ledger row has it, and whether it was voided since, as the shard
    knows (OutcomeStanding)."""
    return bytes(as_json(msgspec.structs.replace(decode_outcome(detail), voided=decode_standing(standing).voided)))


def page(
    query: OutcomeQuery, rows: Sequence[OutcomeRow], closings: Mapping[int, ClosingRow], voided: Collection[int]
) -> OutcomeList:
    """A page of up to ``query.limit`` outcomes, of up to one row more (then there are more).

    ``closings`` by the event id of what opened them; ``voided``: event ids of entries that were
    taken back. An outcome that changed after its row was found does not show up with another
    status than was asked for.
    """
    here = rows[: query.limit]
    more = cursors.encode(OUTCOME_LIST, here[-1].event_id) if len(rows) > query.limit else None
    outcomes = [_shown(row, closings.get(row.event_id), voided, query.now) for row in here]
    return OutcomeList([shown for shown in outcomes if query.status in ("", shown.status)], more)


def _shown(row: OutcomeRow, closing: ClosingRow | None, voided: Collection[int], now: int) -> OutcomeObject:
    if closing is not None:
        closed = decode_outcome(closing.detail)
        return msgspec.structs.replace(closed, voided=closed.voided or closing.event_id in voided)
    opened = decode_outcome(row.detail) if row.kind == "registered" else outcome_object(_opened(row))
    changes: dict[str, object] = {"voided": row.event_id in voided}
    if row.expires_at <= now:
        changes |= {"status": "expired", "success": False}
    return msgspec.structs.replace(opened, **changes)


def _opened(row: OutcomeRow) -> OpenOutcome:
    """The open outcome of a pending event, of its ledger row."""
    return OpenOutcome(
        event_id=row.event_id,
        customer_id=row.customer_id,
        agent_id=row.agent_id,
        action=row.action,
        price_on_success=format_cents(parse_cents(row.price_bonus)),
        expires_at=row.expires_at,
        created_at=row.recorded_at,
        on_expiry=msgspec.convert(row.on_expiry or "failure", OnExpiry),
        test=row.test,
        task_id=row.task_id or None,
    )
