"""Rows of the ledger as the JSON objects that the API shows. Pure.

Money leaves here as JSON numbers that are printed exactly; it is added up as integers of
pico-cents and rounded to dollars once, at the end.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from ingest.reads import cursors
from ingest.reads.params import AUDIT, GROUPS, UsageRequest
from ingest.reads.rows import AuditRow, UsageRow
from ingest.times import show
from schemas.money import dollars_rounded, format_cents, parse_cents

Json = dict[str, Any]


def number(text: str) -> msgspec.Raw:
    """A JSON number, exactly as the text has it."""
    return msgspec.Raw(text.encode())


def usage(
    asked: UsageRequest, actions: list[UsageRow], agents: list[UsageRow], groups: list[UsageRow], pending: int
) -> Json:
    """The answer of GET /v1/usage; ``pending`` in pico-cents. The rows add up to the summary."""
    total = sum(parse_cents(row.total) for row in actions)
    return {
        "customer_id": asked.query.customer,
        "period": asked.period,
        "from": show(asked.query.time.start),
        "to": show(asked.query.time.end),
        "summary": {
            "total_events": sum(row.events for row in actions),
            "total_cents": number(format_cents(total)),
            "total_dollars": number(dollars_rounded(total)),
            "total_tokens": sum(int(row.tokens) for row in actions),
            "unique_agents": sum(row.events > 0 for row in agents),
            "charge_count": sum(row.charges for row in actions),
            "charge_cents": number(format_cents(sum(parse_cents(row.charged) for row in actions))),
            "pending_cents": number(format_cents(pending)),
            "currency": "usd",
        },
        "by_action": list(_sums("action", actions)),
        "by_agent": list(_sums("agent_id", agents)),
        "group_by": asked.group,
        "groups": list(_groups(asked.group, groups)),
    }


def audit(rows: list[AuditRow], limit: int) -> Json:
    """The answer of GET /api/admin/audit, of up to ``limit`` + 1 rows (one more: there are more)."""
    shown = rows[:limit]
    more = cursors.encode(AUDIT, shown[-1].recorded_at, shown[-1].event_id) if len(rows) > limit else None
    return {"entries": [_change(row) for row in shown], "next_cursor": more}


def _change(row: AuditRow) -> Json:
    return {
        "id": row.event_id,
        "type": row.type,
        "actor": row.actor,
        "created_at": show(row.recorded_at),
        "detail": msgspec.Raw(row.detail.encode()) if row.detail else None,
    }


def _groups(group: str | None, rows: list[UsageRow]) -> Iterable[Json]:
    if group is None:
        return
    for shown, row in zip(_sums(GROUPS[group], rows), rows, strict=True):
        if group in ("day", "hour"):
            shown[group] = row.name[:10] if group == "day" else f"{row.name[:10]}T{row.name[11:]}.000Z"
        yield shown


def _sums(key: str, rows: Iterable[UsageRow]) -> Iterable[Json]:
    for row in rows:
        cents = parse_cents(row.total)
        yield {
            key: row.name,
            "event_count": row.events,
            "total_cents": number(format_cents(cents)),
            "total_dollars": number(dollars_rounded(cents)),
            "total_tokens": int(row.tokens),
            "charge_count": row.charges,
        }
