"""The answers, as frozen dataclasses. Declarations only: reading.py fills them by these types.

Money is Decimal: ``*_cents`` in cents, ``*_dollars``, ``price_charged`` and ``price_breakdown``
in dollars. Times are aware datetimes in UTC. Fields that a newer Rev adds are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Optional


@dataclass(frozen=True)
class PriceBreakdown:
    """The parts of a price. ``quantity_charge_cents``: for quantities that are not tokens."""

    base_rate_cents: Decimal
    token_charge_cents: Decimal
    outcome_bonus_cents: Decimal
    quantity_charge_cents: Decimal = Decimal(0)


@dataclass(frozen=True)
class PriceLine:
    """``quantity`` units at ``rate_cents`` for every ``per`` of them cost ``cents``.

    ``component``: the name of the quantity, or ``tokens`` for tokens at the token rate.
    """

    component: str
    quantity: Decimal
    rate_cents: Decimal
    per: int
    cents: Decimal


@dataclass(frozen=True)
class QuantityRate:
    """``rate`` cents for every ``per`` units."""

    rate: Decimal
    per: int


@dataclass(frozen=True)
class PriceConfig:
    """The row of the price list that matched. ``model``, ``provider``: None for any; ``rates``: by quantity, None
    without any.
    """

    action_type: str
    base_rate_cents: Decimal
    token_rate_cents: Decimal
    outcome_bonus_cents: Decimal
    is_default: bool
    model: Optional[str] = None
    provider: Optional[str] = None
    rates: Optional[dict[str, QuantityRate]] = None


@dataclass(frozen=True)
class Price:
    """``lines``: what tokens and quantities cost, one by one; empty when only tokens at the token rate were charged."""

    total_cents: Decimal
    breakdown: PriceBreakdown
    config: PriceConfig
    lines: tuple[PriceLine, ...] = ()


@dataclass(frozen=True)
class DollarBreakdown:
    base: Decimal
    tokens: Decimal
    outcome: Decimal
    quantities: Decimal = Decimal(0)


@dataclass(frozen=True)
class EventSubject:
    """What was metered, as Rev understood it.

    ``quantities``: all of them by name, input and output too; None if the event gave no other ones than those.
    """

    customer_id: str
    agent_id: str
    action: str
    tokens: int
    tokens_input: Optional[int] = None
    tokens_output: Optional[int] = None
    outcome: Optional[str] = None
    quantities: Optional[dict[str, Decimal]] = None


@dataclass(frozen=True)
class MeterResponse:
    """A metered event.

    ``status`` ``accepted``: durable, but not priced yet, so price, price_charged and price_breakdown are
    None; ``voided``: the key's event has since been taken back. ``outcome_id``: of a pending event.
    ``replayed``: the answer to an earlier request with the same key. ``test``: in test mode. ``warnings``:
    what looks wrong, such as a new customer whose id is much like another's.
    """

    event_id: int
    event: EventSubject
    created_at: datetime
    price: Optional[Price] = None
    price_charged: Optional[Decimal] = None
    price_breakdown: Optional[DollarBreakdown] = None
    outcome_id: Optional[str] = None
    currency: str = "usd"
    status: str = "priced"
    replayed: bool = False
    test: bool = False
    warnings: tuple[str, ...] = ()
    budgets_exceeded: tuple[int, ...] = ()
    """Ids of the budgets whose limit the event exceeded."""
    credit_cents: Optional[Decimal] = None
    """What prepaid credit paid; None for a customer without any grant until then, as due_cents."""
    due_cents: Optional[Decimal] = None


@dataclass(frozen=True)
class BatchResult:
    """One event of a batch; total_cents is None while it is ``accepted``.

    ``status``: ``priced``, ``accepted`` or ``voided`` (the key's event has since been taken back).
    """

    event_id: int
    total_cents: Optional[Decimal] = None
    outcome_id: Optional[str] = None
    status: str = "priced"
    replayed: bool = False
    budgets_exceeded: tuple[int, ...] = ()
    credit_cents: Optional[Decimal] = None
    due_cents: Optional[Decimal] = None


@dataclass(frozen=True)
class BatchResponse:
    """Results in the order of the request.

    ``total_cents``: what this request charged; a replayed event adds nothing.
    """

    results: tuple[BatchResult, ...]
    total_cents: Optional[Decimal] = None
    currency: str = "usd"
    status: str = "priced"
    test: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchError:
    """What is wrong with the event at ``index``."""

    index: int
    error: str


@dataclass(frozen=True)
class Event:
    """State of an event: ``priced``, ``accepted`` (only its id is known), ``rejected`` (``error`` says why,
    nothing was charged) or ``voided``.
    """

    event_id: int
    status: str
    event: Optional[EventSubject] = None
    created_at: Optional[datetime] = None
    price: Optional[Price] = None
    price_charged: Optional[Decimal] = None
    price_breakdown: Optional[DollarBreakdown] = None
    outcome_id: Optional[str] = None
    currency: str = "usd"
    error: Optional[str] = None
    timestamp: Optional[datetime] = None
    metadata: Optional[dict[str, Any]] = None
    expires_at: Optional[datetime] = None
    idempotency_key: Optional[str] = None
    task_id: Optional[str] = None
    model: Optional[str] = None
    provider: Optional[str] = None
    trace_id: Optional[str] = None
    import_id: Optional[str] = None
    test: bool = False
    budgets_exceeded: tuple[int, ...] = ()
    credit_cents: Optional[Decimal] = None
    due_cents: Optional[Decimal] = None


@dataclass(frozen=True)
class UsageSummary:
    total_events: int
    total_cents: Decimal
    total_dollars: Decimal
    total_tokens: int
    unique_agents: int
    charge_count: int = 0
    charge_cents: Decimal = Decimal(0)
    pending_cents: Decimal = Decimal(0)
    currency: str = "usd"


@dataclass(frozen=True)
class UsageRow:
    """Totals of one action, agent, model, day or hour, named by that field, or of the ``others`` that have
    no row of their own.
    """

    event_count: int
    total_cents: Decimal
    total_dollars: Optional[Decimal] = None
    total_tokens: int = 0
    charge_count: int = 0
    action: Optional[str] = None
    agent_id: Optional[str] = None
    model: Optional[str] = None
    day: Optional[str] = None
    hour: Optional[str] = None
    others: int = 0


@dataclass(frozen=True)
class UsageComponent:
    """What one component of prices cost: ``event``, ``tokens``, a quantity, ``success``, ``outcome``, ``cap`` or
    ``minimum``. ``quantity``: units, less voided ones. ``model``: only by ``component_model``.
    """

    component: str
    quantity: Decimal
    total_cents: Decimal
    total_dollars: Decimal
    entries: int
    model: Optional[str] = None


@dataclass(frozen=True)
class Usage:
    """Totals over [start, end), in the mode of the key. The rows of each list add up to the summary."""

    customer_id: str
    period: str
    summary: UsageSummary
    by_action: tuple[UsageRow, ...] = ()
    by_agent: tuple[UsageRow, ...] = ()
    groups: tuple[UsageRow, ...] = ()
    components: tuple[UsageComponent, ...] = ()
    group_by: Optional[str] = None
    start: Optional[datetime] = field(default=None, metadata={"json": "from"})
    end: Optional[datetime] = field(default=None, metadata={"json": "to"})
    test: bool = False


@dataclass(frozen=True)
class PriceStep:
    """``rate`` cents for every ``per`` units until the month's count is ``up_to``; None is without end."""

    up_to: Optional[Decimal]
    rate: Decimal
    per: int


@dataclass(frozen=True)
class EffectivePrice:
    """Price of an action now, for one model or provider or any (None); ``is_custom``: it is the customer's own.

    ``rates``: by quantity, None without any. ``ignore_unknown``: a quantity without a rate costs nothing, and is not
    refused. ``tiers``: steps of the month by quantity; ``tier_mode``: ``volume``, or None for graduated ones.
    ``minimum_cents`` and ``cap_cents``: of a month, None without one. ``effective_at``: when a scheduled price comes
    into force.
    """

    action_type: str
    base_rate_cents: Decimal
    token_rate_cents: Decimal
    outcome_bonus_cents: Decimal
    is_custom: bool
    model: Optional[str] = None
    provider: Optional[str] = None
    rates: Optional[dict[str, QuantityRate]] = None
    ignore_unknown: bool = False
    tiers: Optional[dict[str, tuple[PriceStep, ...]]] = None
    tier_mode: Optional[str] = None
    minimum_cents: Optional[Decimal] = None
    cap_cents: Optional[Decimal] = None
    effective_at: Optional[datetime] = None


@dataclass(frozen=True)
class Pricing:
    """Prices of a customer now, and those that are ``scheduled``."""

    customer_id: str
    configs: tuple[EffectivePrice, ...]
    scheduled: tuple[EffectivePrice, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """An outcome: ``pending``, ``succeeded``, ``failed`` or ``expired``.

    ``charge_cents`` is None while it is pending. ``status`` ``accepted``: the registration or verdict is
    durable and will be decided; what is not known yet is None.
    """

    status: str
    task_id: Optional[str] = None
    outcome_id: Optional[str] = None
    event_id: Optional[int] = None
    customer_id: Optional[str] = None
    agent_id: Optional[str] = None
    action: Optional[str] = None
    success_criteria: Optional[dict[str, Any]] = None
    price_on_success_cents: Optional[Decimal] = None
    price_on_failure_cents: Optional[Decimal] = None
    on_expiry: Optional[str] = None
    expires_at: Optional[datetime] = None
    success: Optional[bool] = None
    charge_cents: Optional[Decimal] = None
    evidence: Optional[dict[str, Any]] = None
    created_at: Optional[datetime] = None
    resolved_at: Optional[datetime] = None
    voided: bool = False
    test: bool = False
    warnings: tuple[str, ...] = ()
    replayed: bool = False
    credit_cents: Optional[Decimal] = None
    """What prepaid credit paid of the charge; None for a customer without any grant until then, as due_cents."""
    due_cents: Optional[Decimal] = None


@dataclass(frozen=True)
class Grant:
    """Prepaid credit. Grants are drawn by ``expires_at`` (None: never, last), then ``priority``, then id."""

    id: int
    customer_id: str
    amount_cents: Decimal
    left_cents: Decimal
    priority: int
    reason: str
    created_at: datetime
    expires_at: Optional[datetime] = None
    test: bool = False
    low_percent: Optional[int] = None
    """Of a new grant: the percentage of the balance of which a webhook tells."""
    category: Optional[str] = None
    """``paid``: the customer paid for it; None: it is promotional."""


@dataclass(frozen=True)
class Balance:
    """The prepaid credit that can be drawn now, and the grants that hold it, in the order in which they are drawn."""

    customer_id: str
    balance_cents: Decimal
    grants: tuple[Grant, ...]
    test: bool = False
    held_cents: Optional[Decimal] = None
    """Of the balance, what open reservations hold."""


@dataclass(frozen=True)
class Budget:
    """A limit to what is charged, and what is spent of it.

    ``scope``: ``agent``, ``action``, ``model`` or ``key``, with its ``value``, or ``all``. ``period``: ``day``,
    ``month`` or ``total``. ``fits``: the amount that was asked about would stay within the limit.
    """

    id: int
    customer_id: str
    scope: str
    value: str
    period: str
    limit_cents: Decimal
    hard: bool
    spent_cents: Decimal
    left_cents: Decimal
    created_at: datetime
    period_start: Optional[datetime] = None
    period_end: Optional[datetime] = None
    test: bool = False
    fits: Optional[bool] = None
    held_cents: Optional[Decimal] = None
    """What open reservations hold."""


@dataclass(frozen=True)
class BudgetList:
    """The budgets, oldest first. ``fits``: every hard one would let the amount pass that was asked about."""

    customer_id: str
    budgets: tuple[Budget, ...]
    fits: Optional[bool] = None


@dataclass(frozen=True)
class Reservation:
    """Money that is held until an event settles it, it is released or it expires.

    ``status``: ``open``, ``settled``, ``released`` or ``expired``. ``credit_cents``: what prepaid credit holds of it.
    ``event_id`` and ``charged_cents``: the event that settled it, and its price.
    """

    reservation_id: str
    customer_id: str
    status: str
    amount_cents: Decimal
    credit_cents: Decimal
    expires_at: datetime
    created_at: datetime
    agent_id: Optional[str] = None
    action: Optional[str] = None
    model: Optional[str] = None
    event_id: Optional[int] = None
    charged_cents: Optional[Decimal] = None
    closed_at: Optional[datetime] = None
    test: bool = False
    warnings: tuple[str, ...] = ()
    replayed: bool = False


@dataclass(frozen=True)
class ReservationList:
    """The open reservations, oldest first."""

    customer_id: str
    reservations: tuple[Reservation, ...]


@dataclass(frozen=True)
class StatementLine:
    """A line of a statement or an invoice.

    ``kind``: ``usage`` or ``outcome``, which are ``quantity`` units at ``rate_cents`` for every ``per`` of them;
    ``adjustment``, which settles a month of a price; or ``void``, which takes back the event ``voided_event_id``, or
    several together. ``entries``: how many entries of the ledger it is of. ``late``: they are from before the invoice.
    """

    kind: str
    action: str
    entries: int
    amount_cents: Decimal
    late: bool = False
    model: Optional[str] = None
    provider: Optional[str] = None
    component: Optional[str] = None
    quantity: Optional[Decimal] = None
    rate_cents: Optional[Decimal] = None
    per: Optional[int] = None
    price_id: Optional[int] = None
    event_id: Optional[int] = None
    voided_event_id: Optional[int] = None
    import_id: Optional[str] = None
    reason: Optional[str] = None
    recorded_at: Optional[datetime] = None


@dataclass(frozen=True)
class Statement:
    """What is owed for a month, from what was accepted until ``as_of``; the same ``as_of`` gives the same statement.

    ``voided_cents`` is at most 0. ``credits_cents``: what prepaid credit paid. ``due_cents``: what is left.
    """

    customer_id: str
    month: str
    as_of: datetime
    currency: str
    lines: tuple[StatementLine, ...]
    subtotal_cents: Decimal
    voided_cents: Decimal
    due_cents: Decimal
    credits_cents: Optional[Decimal] = None
    start: Optional[datetime] = field(default=None, metadata={"json": "from"})
    end: Optional[datetime] = field(default=None, metadata={"json": "to"})
    test: bool = False


@dataclass(frozen=True)
class BillTo:
    """Whom an invoice is for; what is not known is empty. ``country``: two letters, ISO 3166."""

    name: str = ""
    email: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    state: str = ""
    country: str = ""
    tax_id: str = ""


@dataclass(frozen=True)
class Payment:
    """A payment of an invoice. ``reference`` names it within the invoice."""

    reference: str
    amount_cents: int
    recorded_at: datetime


@dataclass(frozen=True)
class Invoice:
    """An invoice. Cents are the minor unit of ``currency``, such as yen of ``jpy``.

    ``state``: ``draft`` (without ``number``), ``final``, ``paid``, ``void`` or ``uncollectible``. ``lines_cents`` -
    ``credits_cents`` (what prepaid credit paid) + ``carried_in_cents`` are rounded half up to ``total_cents``, and the
    next invoice carries ``carried_out_cents`` on. ``amount_due_cents`` is ``total_cents`` with the tax;
    ``balance_cents`` is what is left of it after credit notes and payments.
    """

    number: Optional[str]
    customer_id: str
    month: str
    state: str
    as_of: datetime
    currency: str
    entries: int
    lines_cents: Decimal
    carried_in_cents: Decimal
    total_cents: int
    carried_out_cents: Decimal
    credited_cents: int
    paid_cents: int
    balance_cents: int
    payments: tuple[Payment, ...]
    created_at: datetime
    credits_cents: Decimal
    tax_cents: int
    tax_percent: Decimal
    tax_reason: str
    amount_due_cents: int
    bill_to: BillTo
    start: Optional[datetime] = field(default=None, metadata={"json": "from"})
    end: Optional[datetime] = field(default=None, metadata={"json": "to"})
    late_after: Optional[datetime] = None
    """Entries from before ``start`` are on it if they were accepted later than this."""
    invoicing_since: Optional[datetime] = None
    finalized_at: Optional[datetime] = None
    due_at: Optional[datetime] = None
    voided_at: Optional[datetime] = None
    given_up_at: Optional[datetime] = None
    time_zone: Optional[str] = None
    """Of a period of the customer's own; None for a calendar month, UTC."""


@dataclass(frozen=True)
class InvoiceList:
    """Invoices, the latest month first. ``next_cursor``: for the next page; None on the last one."""

    invoices: tuple[Invoice, ...]
    next_cursor: Optional[str] = None


@dataclass(frozen=True)
class CreditNote:
    """What was voided of an ``invoice`` after it was final. ``voided_cents`` is exact."""

    number: str
    invoice: str
    customer_id: str
    month: str
    as_of: datetime
    currency: str
    entries: int
    voided_cents: Decimal
    total_cents: int
    created_at: datetime
    tax_cents: int


@dataclass(frozen=True)
class InvoiceWithLines:
    """An invoice, its credit notes and its lines."""

    invoice: Invoice
    credit_notes: tuple[CreditNote, ...]
    lines: tuple[StatementLine, ...]


@dataclass(frozen=True)
class Webhook:
    """An endpoint.

    Only the answer that creates it has ``secret``. ``disabled``: why Rev disabled it. ``test``: it
    receives only test events, otherwise only live ones.
    """

    id: int
    customer_id: str
    url: str
    events: tuple[str, ...]
    active: bool
    created_at: datetime
    secret: Optional[str] = field(default=None, repr=False)
    disabled: Optional[str] = None
    rotated_at: Optional[datetime] = None
    test: bool = False


@dataclass(frozen=True)
class WebhookList:
    webhooks: tuple[Webhook, ...]
    next_cursor: Optional[str] = None


@dataclass(frozen=True)
class Deleted:
    success: bool
    deleted_id: int
