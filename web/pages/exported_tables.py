"""The tables of the pages as files: what their URLs may hold, their columns, and their rows.

Every table is the owner's; those with ``portal`` parameters are also a customer's, of its own rows alone.
"""

from collections.abc import Callable
from typing import NamedTuple

from schemas.parquet_file import Column, ColumnKind
from schemas.table_files import Groups
from web import filters
from web.pages import exported_rows, replay_page
from web.visits import Visit

TEXT, COUNT, CENTS, TIME, FLAG = ColumnKind
OF_CUSTOMER = ("customer", "mode")
"""Parameters of the owner's tables of one customer; a session of the portal has both."""


class Table(NamedTuple):
    """A table: the parameters that its URL may have, its columns, and its rows.

    ``portal``: those of its URL in the portal; None if customers do not have it.
    """

    parameters: tuple[str, ...]
    columns: tuple[Column, ...]
    groups: Callable[[Visit, dict[str, str]], Groups]
    portal: tuple[str, ...] | None = None


def _columns(**kinds: ColumnKind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


_SUMS = {"events": COUNT, "charges": COUNT, "tokens": COUNT, "total_cents": CENTS, "total_cents_before": CENTS}
_RANKED = _SUMS | {"succeeded": COUNT, "ended": COUNT}
TABLES = {
    "customers": Table(
        ("period", "q"),
        _columns(
            **{"customer_id": TEXT, "name": TEXT, "test": FLAG, "metered": FLAG, "events": COUNT, "total_cents": CENTS},
            **{"events_before": COUNT, "total_cents_before": CENTS, "last_event_at": TIME},
        ),
        exported_rows.customers,
    ),
    "agents": Table(("period",), _columns(agent_id=TEXT, **_RANKED), exported_rows.ranked("agent_id")),
    "actions": Table(("period",), _columns(action=TEXT, **_RANKED), exported_rows.ranked("action")),
    "outcomes": Table(
        filters.OUTCOME_FILTERS,
        _columns(
            **{"outcome_id": TEXT, "state": TEXT, "customer_id": TEXT, "agent_id": TEXT, "action": TEXT},
            **{"task_id": TEXT, "opened_by": TEXT, "price_on_success_cents": CENTS, "price_on_failure_cents": CENTS},
            **{"charge_cents": CENTS, "revenue_cents": CENTS, "voided": FLAG, "on_expiry": TEXT, "test": FLAG},
            **{"opened_at": TIME, "expires_at": TIME, "ended_at": TIME},
        ),
        exported_rows.outcomes,
        ("agent", "task_id", "status"),
    ),
    "prices": Table(
        ("history", "q"),
        _columns(
            **{"id": COUNT, "customer_id": TEXT, "action_type": TEXT, "model": TEXT, "provider": TEXT},
            **{"base_rate_cents": CENTS, "token_rate_cents": CENTS, "outcome_bonus_cents": CENTS, "rates": TEXT},
            **{
                "tiers": TEXT,
                "tier_mode": TEXT,
                "minimum_cents": CENTS,
                "cap_cents": CENTS,
                "ignore_unknown": FLAG,
                "is_active": FLAG,
                "scheduled": FLAG,
                "effective_at": TIME,
            },
            **{"created_at": TIME, "ended_at": TIME},
        ),
        exported_rows.prices,
        (),
    ),
    "keys": Table(
        ("customer",),
        _columns(
            **{"id": COUNT, "api_key_masked": TEXT, "customer_id": TEXT, "customer_name": TEXT, "is_active": FLAG},
            **{"test": FLAG, "created_at": TIME, "last_used_at": TIME},
        ),
        exported_rows.keys,
    ),
    "audit": Table(
        filters.AUDIT_FILTERS,
        _columns(event_id=COUNT, type=TEXT, actor=TEXT, recorded_at=TIME, detail=TEXT),
        exported_rows.audit,
    ),
    "signups": Table(
        ("period",), _columns(source=TEXT, medium=TEXT, campaign=TEXT, signups=COUNT), exported_rows.signups
    ),
    "usage": Table(
        ("period", "by", *OF_CUSTOMER),
        _columns(start=TIME, name=TEXT, events=COUNT, total_cents=CENTS),
        exported_rows.usage,
        ("period", "by"),
    ),
    "components": Table(
        ("action", "period"), _columns(component=TEXT, units=TEXT, total_cents=CENTS), exported_rows.components
    ),
    "invoices": Table(
        ("state", "customer", "month"),
        _columns(
            **{"number": TEXT, "customer_id": TEXT, "month": TEXT, "state": TEXT, "currency": TEXT, "entries": COUNT},
            **dict.fromkeys(exported_rows.INVOICE_AMOUNTS, CENTS),
            **dict.fromkeys(exported_rows.INVOICE_TIMES, TIME),
        ),
        exported_rows.invoices,
        (),
    ),
    "webhooks": Table(
        ("customer",),
        _columns(
            **{"id": COUNT, "customer_id": TEXT, "url": TEXT, "events": TEXT, "state": TEXT, "disabled": TEXT},
            **{"test": FLAG, "attempts_24h": COUNT, "delivered_24h": COUNT, "given_up_24h": COUNT},
            **{"median_latency_ms": COUNT, "last_attempt_at": TIME, "created_at": TIME, "rotated_at": TIME},
        ),
        exported_rows.webhooks,
        (),
    ),
    "attempts": Table(
        ("webhook",),
        _columns(
            **{"attempted_at": TIME, "event_id": TEXT, "type": TEXT, "delivery_id": TEXT, "attempt": COUNT},
            **{"result": TEXT, "http_status": COUNT, "latency_ms": COUNT, "why": TEXT, "response": TEXT},
            **{"next_attempt_at": TIME, "replay": FLAG, "gap_from": TIME, "gap_to": TIME},
        ),
        exported_rows.attempts,
        ("webhook",),
    ),
    "grants": Table(
        OF_CUSTOMER,
        _columns(
            **{"id": COUNT, "reason": TEXT, "category": TEXT, "state": TEXT, "amount_cents": CENTS},
            **{"drawn_cents": CENTS, "left_cents": CENTS, "priority": COUNT, "created_at": TIME, "expires_at": TIME},
        ),
        exported_rows.grants,
        (),
    ),
    "budgets": Table(
        OF_CUSTOMER,
        _columns(
            **{"id": COUNT, "scope": TEXT, "value": TEXT, "period": TEXT, "hard": FLAG, "limit_cents": CENTS},
            **{"spent_cents": CENTS, "held_cents": CENTS, "left_cents": CENTS, "period_end": TIME},
        ),
        exported_rows.budgets,
        (),
    ),
    "replay": Table(
        replay_page.FIELDS,
        _columns(
            **{"part": TEXT, "name": TEXT, "events": COUNT, "repriced": COUNT, "refused": COUNT},
            **{"actual_cents": CENTS, "replayed_cents": CENTS, "difference_cents": CENTS},
        ),
        exported_rows.replay,
    ),
}
"""By the name of the file."""
