"""Outcomes from the ledger as the API shows them: the same object that the shard's replies hold. Pure."""

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


def with_status(detail: str, status: bytes) -> bytes:
    """Return a closed outcome from its ledger row, with ``voided`` from the shard's ``status``.

    ``status`` is an OutcomeStatus as JSON.
    """
    return bytes(as_json(msgspec.structs.replace(decode_outcome(detail), voided=decode_standing(status).voided)))


def page(
    query: OutcomeQuery, rows: Sequence[OutcomeRow], closings: Mapping[int, ClosingRow], voided: Collection[int]
) -> OutcomeList:
    """Return a page of up to ``query.limit`` outcomes; one row more means that there are more.

    ``closings`` are keyed by the event id of what opened the outcome; ``voided`` holds the event ids of
    voided entries. An outcome whose status changed after its row was found is left out if it no longer
    matches ``query.status``.
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
    """Return the open outcome of a pending event, from its ledger row."""
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
