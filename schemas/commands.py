"""Commands: the values of rev.raw. Every change is one of these.

Times are integer milliseconds since the epoch, UTC. Money is decimal text in cents
(schemas.money). A command carries every setting that its decision depends on, so that
the log alone determines what every event cost.
"""

from typing import Literal

import msgspec

from schemas.funding import Funded
from schemas.labels import Labels
from schemas.outcome_terms import Terms
from schemas.price_match import PriceSlot
from schemas.quantities import QuantityRate
from schemas.raw_json import EMPTY
from schemas.tiers import TierMode, Tiers

EventOutcome = Literal["success", "failure", "pending"]
OnExpiry = Literal["failure", "success"]
Scope = Literal["agent", "action", "model", "key", "all"]
"""What a budget counts: the charges of one agent, action, model or API key, or all charges."""
BudgetPeriod = Literal["day", "month", "total"]
"""How long a budget counts before it begins again: a calendar day or month (UTC), or for ever."""
OnEmpty = Literal["charge", "refuse"]
"""What happens to an event that prepaid credit does not cover: the rest is due, or it is refused."""
Unpriced = Literal["refuse", "accept"]
"""What happens to an event whose action has no price: it is refused, or recorded at 0 until a price charges it."""
Category = Literal["promotional", "paid"]
"""Of prepaid credit: whether the customer paid for it, so that it is deferred revenue until it is drawn."""
Mode = Literal["live", "test"]
"""A separate namespace for each customer: idempotency keys, task ids, outcomes, events, endpoints and
totals of one mode do not exist in the other.

A command without a mode was written before modes were separate, and is decided as it was then
(docs/decisions/0027-test-and-live.md).
"""


class MeterEvent(Labels, frozen=True, omit_defaults=True, gc=False):
    """An action of an agent, validated and normalized by the gateway.

    ``tokens`` is the sum of the token kinds, or the total that was given without kinds. ``tokens_input`` and
    ``tokens_output`` hold the quantities ``input`` and ``output``, and are None unless the sender gave one of them;
    ``quantities`` holds all others, as canonical decimal text. ``event_time`` is None when the sender
    gave no timestamp (then it is the accepted time). ``metadata`` is the sender's own JSON text, or empty.
    """

    agent_id: str
    action: str
    tokens: int = 0
    tokens_input: int | None = None
    tokens_output: int | None = None
    outcome: EventOutcome | None = None
    expires_at: int | None = None
    on_expiry: OnExpiry | None = None
    metadata: msgspec.Raw = EMPTY
    idempotency_key: str | None = None
    event_time: int | None = None
    quantities: dict[str, str] = msgspec.field(default_factory=dict)
    reservation_id: str | None = None
    """The reservation that it settles."""


class Meter(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="command", tag="meter"):
    """One POST /v1/meter (one event) or /v1/meter/batch (``batch``, 1 to 1000 events)."""

    customer_id: str
    api_key_id: int
    events: list[MeterEvent]
    idempotency_window: int
    """Time for which keys are remembered, ms."""
    outcome_ttl: int
    """The time after which a pending event without expires_at expires, in ms after its accepted time."""
    batch: bool = False
    test: bool = False
    mode: Mode | None = None
    import_id: str | None = None
    """The label of the file that the events came from; no decision depends on it."""
    on_empty: OnEmpty = "charge"
    unpriced: Unpriced = "refuse"


class Rates(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a price charges: cents per event, cents per token, cents on success, and the rates of quantities.

    ``quantities`` is sorted by name. A quantity without a rate refuses the event, unless ``ignore_unknown``.
    ``tiers``, sorted by name, has the steps of quantities that have no rate here, and of ``event`` in place of the
    base. ``minimum`` and ``cap`` are cents of a customer's month, None without one. The price record of an entry is
    without all these: its lines say at which rates they were charged, and its base is that of the event's step.
    """

    base: str
    token: str
    bonus: str
    quantities: tuple[QuantityRate, ...] = ()
    ignore_unknown: bool = False
    tiers: tuple[Tiers, ...] = ()
    tier_mode: TierMode = "graduated"
    minimum: str | None = None
    cap: str | None = None


class PriceRef(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The price record that an entry was priced with, and its position in the shard's log."""

    id: int
    action_type: str
    rates: Rates
    offset: int
    """Offset of the InstallPrice command in the same partition of rev.raw."""
    is_default: bool = False
    model: str | None = None
    provider: str | None = None


class Register(Terms, frozen=True, omit_defaults=True, tag_field="command", tag="register"):
    """POST /v1/outcomes: a task whose price depends on its result.

    The outcome's id is ``oc_<event id of this command>``.
    """

    customer_id: str
    api_key_id: int
    task_id: str
    agent_id: str
    expires_at: int
    idempotency_window: int
    on_expiry: OnExpiry = "failure"
    idempotency_key: str | None = None
    test: bool = False
    mode: Mode | None = None


class Resolve(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="resolve"):
    """The verdict on an outcome. ``target``: a task_id, or an outcome_id (``oc_…``)."""

    customer_id: str
    api_key_id: int
    target: str
    success: bool
    idempotency_window: int
    evidence: msgspec.Raw = EMPTY
    idempotency_key: str | None = None
    mode: Mode | None = None


class Expire(msgspec.Struct, frozen=True, tag_field="command", tag="expire"):
    """A notice that an outcome may have expired; the pricer decides by the append time."""

    customer_id: str
    outcome_id: str


class CloseMonth(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="month.close"):
    """A notice that a month of one price row may be over; the pricer decides by the append time.

    ``month``: a billing period, such as ``2026-11`` or, with a billing anchor, ``2026-11-15``. ``own``: the row is for
    this customer alone.
    """

    customer_id: str
    month: str
    action: str
    own: bool = False
    model: str | None = None
    provider: str | None = None
    test: bool = False


class ChargeUnpriced(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="unpriced.charge"):
    """A notice that events of one customer, mode and API key that were recorded without a price may have one now; the
    pricer decides by the append time."""

    customer_id: str
    api_key_id: int
    event_ids: list[int]
    test: bool = False


class InvoiceNotice(msgspec.Struct, frozen=True, tag_field="command", tag="invoice.notice"):
    """What became of an invoice, for the customer's webhooks. A shard gets notices in the order of ``number``; a repeat
    has the number of the first."""

    customer_id: str
    number: int
    type: str
    detail: msgspec.Raw
    """The invoice or credit note as the API shows it (schemas.invoice_objects)."""


class SetBillingAnchor(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="billing_anchor.set"):
    """The day of the month on which a customer's billing periods begin, from the end of the running period on."""

    customer_id: str
    day: int
    actor: str = "admin"


class ReadBillingAnchor(msgspec.Struct, frozen=True, tag_field="command", tag="billing_anchor.read"):
    """A read of a customer's billing anchor, in order with all commands that change it."""

    customer_id: str


class ReadOutcome(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="read"):
    """A read of an outcome, in order with all commands that change it.

    It closes an outcome that has expired.
    """

    customer_id: str
    target: str
    mode: Mode | None = None


class Void(Funded, frozen=True, omit_defaults=True, tag_field="command", tag="void"):
    """A void of an entry, once. The gateway copies all fields of the entry from the ledger.

    ``event_id`` is the entry's own; ``event`` and the amounts are those of its row, with the event time
    filled in. ``charge``: True if the entry is an outcome's charge, False if it is an event.
    """

    customer_id: str
    event_id: int
    event: MeterEvent
    base: str
    token: str
    bonus: str
    total: str
    reason: str
    price: PriceRef | None = None
    outcome_id: str | None = None
    charge: bool = False
    test: bool = False
    actor: str = "admin"
    import_id: str | None = None
    """The import of the voided entry."""
    recorded_at: int = 0
    """Accepted time of the voided entry; 0 in a command from before budgets."""
    key_id: int = 0
    """Id of the API key of the voided entry."""


class SeedPrice(msgspec.Struct, frozen=True, gc=False):
    """A default price that is set when the log is created."""

    action_type: str
    rates: Rates


class Genesis(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="genesis"):
    """The first command of a log: its random epoch and the default prices. Repeats are ignored."""

    epoch: str
    prices: list[SeedPrice]


class Signup(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who signed up, and the UTM parameters of the link that led there."""

    email: str
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None


class CreateKey(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="key.create"):
    """A new API key. Its secret never enters the log, only its hash (SHA-256, hex) and mask.

    With a ``signup`` the customer is new, too: an existing one refuses the command.
    """

    customer_id: str
    hash: str
    mask: str
    customer_name: str | None = None
    test: bool = False
    actor: str = "admin"
    signup: Signup | None = None


class RevokeKey(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="key.revoke"):
    id: int
    actor: str = "admin"


class SetPrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price.set"):
    """A price for an action (or ``*``), for everyone or for one customer, and for one model or provider or any."""

    action_type: str
    rates: Rates
    customer_id: str | None = None
    actor: str = "admin"
    model: str | None = None
    provider: str | None = None
    effective_at: int | None = None
    """The accepted time from which it is in force; None is at once."""


class ListedPrice(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of a price list; its fields are those of SetPrice."""

    action_type: str
    rates: Rates
    customer_id: str | None = None
    model: str | None = None
    provider: str | None = None
    effective_at: int | None = None

    @property
    def slot(self) -> PriceSlot:
        """What the row is for."""
        return PriceSlot(self.customer_id, self.action_type, self.model, self.provider)


class SetPriceList(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price.list"):
    """A price list: all of its rows are set or none. A row that says what holds already changes nothing."""

    rows: list[ListedPrice]
    actor: str = "admin"


class DeletePrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price.delete"):
    id: int
    actor: str = "admin"


class UpdateCustomer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="customer.update"):
    """Changes to a customer: every field that is not None. ``external_ids`` maps system name to id."""

    customer_id: str
    name: str | None = None
    external_ids: dict[str, str] | None = None
    test: bool | None = None
    actor: str = "admin"
    on_empty: OnEmpty | None = None


class EnsureCustomer(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="customer.ensure"):
    """A listing of a customer that a platform's key names and nobody made; ``actor``: the key."""

    customer_id: str
    actor: str = "platform"


class CreateWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.create"):
    """A new endpoint.

    The gateway encrypts ``secret`` (schemas.secrets); the log never holds it in plain text.
    """

    customer_id: str
    url: str
    events: list[str]
    secret: str
    actor: str = "customer"
    test: bool = False


class UpdateWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.update"):
    """Changes to an endpoint: every field that is not None.

    ``disabled``: why the notifier gives the endpoint up (then ``active`` is False and the owner gets a
    webhook.disabled event).
    """

    id: int
    customer_id: str
    url: str | None = None
    events: list[str] | None = None
    active: bool | None = None
    disabled: str | None = None
    actor: str = "customer"


class RotateWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.rotate"):
    """A new secret, encrypted; the previous one also signs for 24 h."""

    id: int
    customer_id: str
    secret: str
    actor: str = "customer"


class DeleteWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.delete"):
    id: int
    customer_id: str
    actor: str = "customer"


class ProbeWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.test"):
    """A request for one webhook.test event, to this endpoint alone."""

    id: int
    customer_id: str
    actor: str = "customer"


class ReplayWebhook(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="webhook.replay"):
    """A replay to one endpoint: everything since a time (ms UTC), or the entry at one position in rev.entries.

    The configuration shard checks the command and sends it on to the customer's shard, so that the notifier
    reads it from the partition of the events.
    """

    id: int
    customer_id: str
    since: int | None = None
    partition: int | None = None
    offset: int | None = None
    index: int | None = None
    actor: str = "customer"


class ScheduledPrice(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A price that follows another one of the same slot at an accepted time."""

    id: int
    rates: Rates
    effective_at: int


class InstallPrice(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="price"):
    """A numbered price record that the configuration shard sends to every shard, or an override to its
    customer's shard.

    A shard ignores every ``number`` that is not above its last one. The record states all that is known of its slot:
    the price in force or the first one scheduled, and the ones scheduled ``later``, by time.
    """

    number: int
    id: int
    action_type: str
    rates: Rates
    customer_id: str | None = None
    active: bool = True
    model: str | None = None
    provider: str | None = None
    effective_at: int | None = None
    """The accepted time from which the price is in force; None is from this record on."""
    later: tuple[ScheduledPrice, ...] = ()
    test: bool = False
    """Its customer is flagged test, so that a month without events owes no minimum."""


class InstallPrices(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="prices"):
    """The price records of one price list for one shard, by number: one record, so that no event finds half of it."""

    prices: list[InstallPrice]


class CreateBudget(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="budget.create"):
    """A new budget of a customer in one mode; its id is the event id of this command.

    ``value``: the agent, action, model or key id that it is for, empty for scope ``all``. A ``hard`` one refuses what
    would exceed it.
    """

    customer_id: str
    scope: Scope
    period: BudgetPeriod
    limit: str
    hard: bool
    value: str = ""
    test: bool = False
    idempotency_key: str | None = None
    actor: str = "admin"


class DeleteBudget(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="budget.delete"):
    customer_id: str
    id: int
    actor: str = "admin"


class EventLabels(msgspec.Struct, frozen=True, omit_defaults=True):
    """The labels of an event by which budgets count it; None: not known yet."""

    agent_id: str | None = None
    action: str | None = None
    model: str | None = None


class ReadBudgets(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="budget.read"):
    """A read of a customer's budgets, in order with all commands that change them.

    ``mode``: None for both. ``amount``: decimal text in cents of what may be spent. With ``event``, only the budgets
    that would count such an event of this API key.
    """

    customer_id: str
    mode: Mode | None = None
    amount: str | None = None
    event: EventLabels | None = None
    api_key_id: int = 0


class GrantCredit(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="credit.grant"):
    """Prepaid credit for a customer in one mode; the grant's id is the event id of this command.

    ``amount``: decimal text in cents. Grants are drawn by expires_at (ms, None: never), then ``priority``, then id.
    """

    customer_id: str
    amount: str
    reason: str
    expires_at: int | None = None
    priority: int = 50
    test: bool = False
    idempotency_key: str | None = None
    actor: str = "admin"
    low_percent: int | None = None
    """The percentage of the balance after this grant of which a notice is given; None, as in commands from before
    notices, gives none."""
    category: Category = "promotional"


class ExpireGrant(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="credit.expire"):
    """A notice that a grant may have expired; the pricer decides by the append time."""

    customer_id: str
    id: int
    test: bool = False


class ReadBalance(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="credit.read"):
    """A read of a customer's prepaid credit, in order with all commands that change it."""

    customer_id: str
    mode: Mode


class Reserve(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="reservation.create"):
    """Money to hold before an agent runs; the reservation's id is ``rs_<event id of this command>``.

    ``amount``: decimal text in cents; None: what the event ``estimate`` would cost. ``event``: what the amount is for.
    """

    customer_id: str
    api_key_id: int
    ttl: int
    """ms after the accepted time at which it expires."""
    idempotency_window: int
    amount: str | None = None
    event: EventLabels | None = None
    estimate: MeterEvent | None = None
    idempotency_key: str | None = None
    test: bool = False
    mode: Mode | None = None
    on_empty: OnEmpty = "charge"


class ReleaseReservation(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="reservation.release"
):
    """The end of a reservation without an event."""

    customer_id: str
    api_key_id: int
    reservation_id: str
    mode: Mode


class ExpireReservation(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="reservation.expire"):
    """A notice that a reservation may have expired; the pricer decides by the append time."""

    customer_id: str
    reservation_id: str
    test: bool = False


class ReadReservations(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="command", tag="reservation.read"):
    """A read of a reservation, or of all open ones, in order with all commands that change them."""

    customer_id: str
    mode: Mode
    reservation_id: str | None = None


ChangeWebhook = CreateWebhook | UpdateWebhook | RotateWebhook | DeleteWebhook | ProbeWebhook | ReplayWebhook
ChangePrice = SetPrice | SetPriceList | DeletePrice
Configure = Genesis | CreateKey | RevokeKey | ChangePrice | UpdateCustomer | EnsureCustomer | ChangeWebhook
Outcome = Register | Resolve | Expire | ReadOutcome
Spend = CreateBudget | DeleteBudget | ReadBudgets | GrantCredit | ExpireGrant | ReadBalance
Reserving = Reserve | ReleaseReservation | ExpireReservation | ReadReservations
Notice = CloseMonth | ChargeUnpriced | InvoiceNotice
Billing = SetBillingAnchor | ReadBillingAnchor
Command = Meter | Outcome | Notice | Billing | Void | Spend | Reserving | Configure | InstallPrice | InstallPrices

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Command).decode
"""Decode the command in a raw record's value. Raises msgspec.DecodeError or ValidationError."""
