"""Events as CSV, page by page of the same search as the list's, so that memory stays bounded."""

import csv
import io
from collections.abc import AsyncIterator, Sequence

from schemas.ids import address_of
from schemas.labels import LABELS
from schemas.objects import iso
from warehouse.activity import ActivityReads
from warehouse.activity_rows import EventSearch
from warehouse.row_events import canonical
from warehouse.rows import EventRow
from web.views.event_lines import status_of

PAGE = 2000
MOST = 200_000
"""Events in one file; a note ends a file that has no more room."""
COLUMNS = (
    *("event_id", "status", "customer_id", "agent_id", "action", "outcome", "tokens", "tokens_input", "tokens_output"),
    *("base_cents", "token_cents", "quantity_cents", "outcome_bonus_cents", "total_cents", "price_id", "outcome_id"),
    *("idempotency_key", "import_id", *LABELS, "test", "timestamp", "created_at", "reason", "metadata"),
    *("partition", "offset", "index"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def pieces(reads: ActivityReads, search: EventSearch, most: int = MOST) -> AsyncIterator[bytes]:
    """Yield the file in pieces, the first with its first events. Raises ReadsUnavailable."""
    head: list[Sequence[str]] = [COLUMNS]
    left = most
    while True:
        size = min(PAGE, left)
        rows = await reads.events(search._replace(limit=size + 1))
        here = rows[:size]
        voided = await reads.voided([row.event_id for row in here if row.kind == "event"])
        yield _text([*head, *(_cells(row, row.event_id in voided) for row in here)])
        head = []
        left -= len(here)
        if len(rows) <= size:
            return
        if left == 0:
            yield _text([[f"Cut after {most} events; narrow the filters to export the rest."]])
            return
        search = search._replace(before=(here[-1].recorded_at, here[-1].event_id))


def _cells(row: EventRow, is_voided: bool) -> list[str]:
    priced = row.kind == "event"
    amounts = (row.base, row.token, row.quantity, row.bonus, row.total)
    return [
        str(row.event_id),
        status_of(row.kind, is_voided),
        *map(safe, (row.customer_id, row.agent_id, row.action, row.outcome)),
        str(row.tokens),
        *("" if count is None else str(count) for count in (row.tokens_input, row.tokens_output)),
        *(canonical(amount) if priced else "" for amount in amounts),
        str(row.price_id or ""),
        *map(safe, (row.outcome_id, row.idempotency_key, row.import_id, *(getattr(row, name) for name in LABELS))),
        "true" if row.test else "false",
        iso(row.event_time),
        iso(row.recorded_at),
        *map(safe, (row.reason, row.metadata)),
        *map(str, address_of(row.event_id)),
    ]


def safe(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula: it then begins with an apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(rows: Sequence[Sequence[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()
