"""Usage and audit rows of the ledger as the JSON that the API shows. Pure.

Money is returned as exact JSON numbers. It is summed as integers of pico-cents and rounded to dollars
once, at the end.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from ingest.reads import cursors
from ingest.reads.params import AUDIT, GROUPS, UsageRequest
from schemas.money import dollars_rounded, format_cents, parse_cents
from schemas.objects import Json, Number, iso, number
from warehouse.row_events import canonical
from warehouse.rows import MAX_COMPONENTS, AuditRow, ComponentSumRow, UsageSumRow


class UsageSums(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The sums of one agent, action, model, day or hour, whose field names it.

    The last row may have ``others`` instead: it sums that many agents, actions or models, all that have no
    row of their own.
    """

    agent_id: str | None = None
    action: str | None = None
    model: str | None = None
    day: str | None = None
    hour: str | None = None
    others: int | None = None
    event_count: int
    total_cents: Number
    total_dollars: Number
    total_tokens: int
    charge_count: int


class ComponentSums(msgspec.Struct, frozen=True, kw_only=True):
    """What one component of prices cost: ``event`` (the base), ``tokens`` at the token rate, each quantity with a rate,
    ``success`` and ``outcome`` (bonuses), ``cap`` and ``minimum``.

    ``quantity``: units, less voided ones; the adjustment of a month is of no further units. ``entries``: how many
    events and charges have it, less voided ones. ``model``: only by component_model, empty for events without one.
    """

    component: str
    model: str | UnsetType = UNSET
    quantity: Number
    total_cents: Number
    total_dollars: Number
    entries: int


class Summary(msgspec.Struct, frozen=True):
    """The totals of the period.

    ``unique_agents``: agents with an event that was not voided. ``pending_cents``: what the open outcomes
    would add if all succeeded.
    """

    total_events: int
    total_cents: Number
    total_dollars: Number
    total_tokens: int
    unique_agents: int
    charge_count: int
    charge_cents: Number
    pending_cents: Number
    currency: str = "usd"


class UsageResponse(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """GET /v1/usage. The rows of each list add up to the summary."""

    customer_id: str
    period: str
    start: str
    end: str
    summary: Summary
    by_action: Sequence[UsageSums]
    by_agent: Sequence[UsageSums]
    group_by: str | None
    groups: Sequence[UsageSums]
    test: bool
    components: Sequence[ComponentSums] | UnsetType = UNSET
    """By component, instead of ``groups``; their cents add up to the summary."""


class AuditChange(msgspec.Struct, frozen=True):
    """A configuration change or a void; ``detail`` is the object as the API shows it."""

    id: int
    type: str
    actor: str
    created_at: str
    detail: Json


class Audit(msgspec.Struct, frozen=True):
    """GET /api/admin/audit, newest first."""

    entries: Sequence[AuditChange]
    next_cursor: str | None


def usage(
    asked: UsageRequest,
    actions: list[UsageSumRow],
    agents: list[UsageSumRow],
    groups: list[UsageSumRow],
    components: list[ComponentSumRow] | None,
    pending: int,
) -> UsageResponse:
    """Return the response of GET /v1/usage; ``pending`` in pico-cents."""
    return UsageResponse(
        customer_id=asked.query.customer,
        period=asked.period,
        start=iso(asked.query.time.start),
        end=iso(asked.query.time.end),
        summary=_summary(actions, agents, pending),
        by_action=[_sums(row, "action") for row in actions],
        by_agent=[_sums(row, "agent_id") for row in agents],
        group_by=asked.group,
        groups=[_sums(row, GROUPS[asked.group]) for row in groups] if asked.group in GROUPS else [],
        test=asked.query.test,
        components=UNSET if components is None else [_component(row, asked.group) for row in components],
    )


def agree(*totals: list[UsageSumRow]) -> bool:
    """True if all lists have the same sums."""
    return len({_sum(rows) for rows in totals}) == 1


def are_whole(components: list[ComponentSumRow] | None, rows: list[UsageSumRow]) -> bool:
    """True if the components cost what other rows cost; also without any, and if some are left out."""
    if components is None or len(components) == MAX_COMPONENTS:
        return True
    return sum(parse_cents(row.total) for row in components) == sum(parse_cents(row.total) for row in rows)


def audit(rows: list[AuditRow], limit: int) -> Audit:
    """Return the response of GET /api/admin/audit; ``limit`` + 1 rows mean that there are more."""
    shown = rows[:limit]
    more = cursors.encode(AUDIT, shown[-1].recorded_at, shown[-1].event_id) if len(rows) > limit else None
    return Audit([_change(row) for row in shown], more)


def _summary(actions: list[UsageSumRow], agents: Iterable[UsageSumRow], pending: int) -> Summary:
    total = sum(parse_cents(row.total) for row in actions)
    return Summary(
        total_events=sum(row.events for row in actions),
        total_cents=number(format_cents(total)),
        total_dollars=number(dollars_rounded(total)),
        total_tokens=sum(int(row.tokens) for row in actions),
        unique_agents=sum(row.active for row in agents),
        charge_count=sum(row.charges for row in actions),
        charge_cents=number(format_cents(sum(parse_cents(row.charged) for row in actions))),
        pending_cents=number(format_cents(pending)),
    )


def _sum(rows: list[UsageSumRow]) -> tuple[int, int, int, int]:
    """Return the sums of events, charges, tokens and pico-cents."""
    return (
        sum(row.events for row in rows),
        sum(row.charges for row in rows),
        sum(int(row.tokens) for row in rows),
        sum(parse_cents(row.total) for row in rows),
    )


def _sums(row: UsageSumRow, key: str) -> UsageSums:
    cents = parse_cents(row.total)
    return UsageSums(
        event_count=row.events,
        total_cents=number(format_cents(cents)),
        total_dollars=number(dollars_rounded(cents)),
        total_tokens=int(row.tokens),
        charge_count=row.charges,
        **({"others": row.others} if row.others else {key: _name(row.name, key)}),
    )


def _component(row: ComponentSumRow, group: str | None) -> ComponentSums:
    cents = parse_cents(row.total)
    return ComponentSums(
        component=row.component,
        model=row.model if group == "component_model" else UNSET,
        quantity=number(canonical(row.quantity)),
        total_cents=number(format_cents(cents)),
        total_dollars=number(dollars_rounded(cents)),
        entries=row.entries,
    )


def _name(name: str, key: str) -> str:
    if key == "day":
        return name[:10]
    if key == "hour":
        return f"{name[:10]}T{name[11:]}.000Z"
    return name


def _change(row: AuditRow) -> AuditChange:
    detail = msgspec.Raw(row.detail.encode() or b"null")
    return AuditChange(row.event_id, row.type, row.actor, iso(row.recorded_at), detail)
