"""Events as a file, page by page of the same search as the list's, so that memory stays bounded."""

from collections.abc import AsyncIterator

from schemas import table_files
from schemas.ids import address_of
from schemas.labels import LABELS
from schemas.money import parse_cents
from schemas.parquet_file import Column, ColumnKind, Value
from schemas.table_files import Groups
from warehouse.activity import ActivityReads
from warehouse.activity_rows import EventSearch
from warehouse.rows import EventRow
from web.views.event_lines import status_of

PAGE = 2000
MOST = 200_000
"""Events in one file; a note ends a file that has no more room."""
TEXT, COUNT, CENTS, TIME, FLAG = ColumnKind
COLUMNS = tuple(
    Column(name, kind)
    for kind, names in (
        (COUNT, ("event_id",)),
        (TEXT, ("status", "customer_id", "agent_id", "action", "outcome")),
        (COUNT, ("tokens", "tokens_input", "tokens_output")),
        (CENTS, ("base_cents", "token_cents", "quantity_cents", "outcome_bonus_cents", "total_cents")),
        (COUNT, ("price_id",)),
        (TEXT, ("outcome_id", "idempotency_key", "import_id", *LABELS)),
        (FLAG, ("test",)),
        (TIME, ("timestamp", "created_at")),
        (TEXT, ("reason", "metadata")),
        (COUNT, ("partition", "offset", "index")),
    )
    for name in names
)


def pieces(reads: ActivityReads, search: EventSearch, kind: str = "csv", most: int = MOST) -> AsyncIterator[bytes]:
    """Yield the file in pieces, the first with its first events. Raises ReadsUnavailable."""
    return table_files.pieces(kind, COLUMNS, _groups(reads, search, most))


async def _groups(reads: ActivityReads, search: EventSearch, most: int) -> Groups:
    left = most
    while True:
        size = min(PAGE, left)
        rows = await reads.events(search._replace(limit=size + 1))
        here = rows[:size]
        voided = await reads.voided([row.event_id for row in here if row.kind == "event"])
        yield [_cells(row, row.event_id in voided) for row in here]
        left -= len(here)
        if len(rows) <= size:
            return
        if left == 0:
            yield f"Cut after {most} events; narrow the filters to export the rest."
            return
        search = search._replace(before=(here[-1].recorded_at, here[-1].event_id))


def _cells(row: EventRow, is_voided: bool) -> list[Value]:
    priced = row.kind == "event"
    amounts = (row.base, row.token, row.quantity, row.bonus, row.total)
    texts = (row.outcome_id, row.idempotency_key, row.import_id, *(getattr(row, name) for name in LABELS))
    return [
        row.event_id,
        status_of(row.kind, is_voided),
        *(row.customer_id, row.agent_id, row.action, row.outcome),
        *(row.tokens, row.tokens_input, row.tokens_output),
        *(parse_cents(amount) if priced else None for amount in amounts),
        row.price_id or None,
        *texts,
        row.test,
        *(row.event_time, row.recorded_at),
        *(row.reason, row.metadata),
        *address_of(row.event_id),
    ]
