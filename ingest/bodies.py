"""The request bodies: the structs that validate them and from which /openapi.json is made.

The decoder takes every field of a body as optional, so that null is the same as absent. The
handlers check the required fields (REQUIRED, for the description), since they can explain what is
missing. ``Raw`` fields hold the sender's own JSON text, unchecked.
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ingest.plain_names import BLANK, CONTROL, INVISIBLE
from schemas.billing import MAX_TERMS, MAX_THRESHOLD, MINOR_DIGITS
from schemas.billing_anchors import MAX_DAY
from schemas.commands import BudgetPeriod, Category, OnEmpty, OnExpiry, Scope
from schemas.labels import ABOUT, LABELS, Labels
from schemas.limits import MAX_EVENTS, MAX_NAME, MAX_TOKENS
from schemas.outcome_terms import TERMS, Kind
from schemas.price_list import MAX_ROWS
from schemas.quantities import MAX_PER, MAX_QUANTITIES, MAX_QUANTITY, MAX_RATES, NAME
from schemas.reservations import MAX_TTL
from schemas.tiers import MAX_STEPS, TierMode

MAX_REASON = 1000
"""Maximum characters in the reason of a void."""
MAX_LABEL = 64
"""Maximum characters in an import_id."""

# the patterns only describe; ingest.plain_names and ingest.auth refuse
NAMED = "Unicode NFC, without control or invisible characters, and without whitespace at the ends."
_END, _WITHIN = BLANK + CONTROL + INVISIBLE, CONTROL + INVISIBLE
_REST = f"([^{_WITHIN}]*[^{_END}])?$"
NAME_PATTERN = f"^[^{_END}]{_REST}"
OWNER_PATTERN = f"^[^_{_END}]{_REST}"
TEXT_PATTERN = f"^[^{CONTROL}]+$"
LABEL_PATTERN = r"^(?!\.\.?$)[A-Za-z0-9_.-]+$"
CUSTOMER_PATTERN = rf"^([^_*{_END}]{_REST[:-1]}|\*[^{_WITHIN}]*[^{_END}])$"


def _text(pattern: str, description: str) -> Meta:
    return Meta(min_length=1, max_length=MAX_NAME, description=description, extra_json_schema={"pattern": pattern})


Name = Annotated[str, _text(NAME_PATTERN, NAMED)]
Customer = Annotated[str, _text(CUSTOMER_PATTERN, f"{NAMED} Must not be * or begin with _.")]
Task = Annotated[str, _text(NAME_PATTERN, f"{NAMED} Must not be . or .., or begin with oc_.")]
Label = Annotated[
    str,
    Meta(
        description="Characters A-Z a-z 0-9 _ . and -, but not . or .. alone.",
        extra_json_schema={"minLength": 1, "maxLength": MAX_LABEL, "pattern": LABEL_PATTERN},
    ),
]
Id = Annotated[int, Meta(ge=0)]
ReservationId = Annotated[
    str,
    Meta(
        description="The id of a reservation: rs_ and an event id. An event that names one settles it.",
        extra_json_schema={"pattern": "^rs_(0|[1-9][0-9]{0,15})$"},
    ),
]
Reason = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_REASON, "pattern": TEXT_PATTERN})]
Owner = Annotated[str, _text(OWNER_PATTERN, f"{NAMED} The customer, or * for a platform key.")]
Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
Time = Annotated[
    str, Meta(description="An ISO 8601 time with Z or an offset.", extra_json_schema={"format": "date-time"})
]
Line = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": MAX_NAME, "pattern": NAME_PATTERN})]
Currency = Annotated[str, Meta(extra_json_schema={"enum": [*MINOR_DIGITS, *map(str.upper, MINOR_DIGITS)]})]
EMAIL_PATTERN = r"^[!-?A-~]+@[!-?A-~]+$"
Email = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_NAME, "pattern": EMAIL_PATTERN})]
COUNTRY_PATTERN = r"^[A-Z]{2}$"
Month = Annotated[
    str,
    Meta(description="A calendar month, UTC.", extra_json_schema={"pattern": r"^20[0-9]{2}-(0[1-9]|1[0-2])$"}),
]
Object = Annotated[
    msgspec.Raw, Meta(description="A JSON object, at most 16 KiB.", extra_json_schema={"type": ["object", "null"]})
]
Rate = Annotated[
    msgspec.Raw,
    Meta(
        description="Cents: a number or a decimal string from 0 to 10^9 with at most 12 decimals.",
        extra_json_schema={"type": ["number", "string", "null"], "minimum": 0, "maximum": 10**9},
    ),
]


MANY = Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_EVENTS})


if TYPE_CHECKING:
    BodyLabels = Labels
else:
    BodyLabels = msgspec.defstruct(
        "BodyLabels",
        [(name, Annotated[Name, Meta(description=ABOUT[name].meaning)] | None, None) for name in LABELS],
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
        kw_only=True,
        module=__name__,
    )


QuantityMap = Annotated[
    dict[str, msgspec.Raw],
    Meta(
        description="Quantities by name: numbers or decimal text from 0 to 10^12 with at most 6 decimals.",
        extra_json_schema={
            "maxProperties": MAX_QUANTITIES,
            "propertyNames": {"pattern": f"^{NAME.pattern}$"},
            "additionalProperties": {"type": ["number", "string"], "minimum": 0, "maximum": MAX_QUANTITY},
        },
    ),
]
RateMap = Annotated[
    dict[str, msgspec.Raw],
    Meta(
        description="Rates by quantity: cents for one unit, or {rate, per}: cents for so many units.",
        extra_json_schema={
            "maxProperties": MAX_RATES,
            "propertyNames": {"pattern": f"^{NAME.pattern}$"},
            "additionalProperties": {
                "anyOf": [
                    {"type": ["number", "string"], "minimum": 0, "maximum": 10**9},
                    {
                        "type": "object",
                        "properties": {
                            "rate": {"type": ["number", "string"], "minimum": 0, "maximum": 10**9},
                            "per": {"type": "integer", "minimum": 1, "maximum": MAX_PER},
                        },
                        "required": ["rate"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
    ),
]


TierMap = Annotated[
    dict[str, list[msgspec.Raw]],
    Meta(
        description="Steps by quantity, or of event: each a rate until the customer's month has counted up_to.",
        extra_json_schema={
            "propertyNames": {"pattern": f"^{NAME.pattern}$"},
            "additionalProperties": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {
                    "type": "object",
                    "properties": {
                        "up_to": {"type": ["number", "string", "null"], "maximum": MAX_QUANTITY},
                        "rate": {"type": ["number", "string"], "minimum": 0, "maximum": 10**9},
                        "per": {"type": "integer", "minimum": 1, "maximum": MAX_PER},
                    },
                    "required": ["up_to", "rate"],
                    "additionalProperties": False,
                },
            },
        },
    ),
]
PriceRows = Annotated[
    list[msgspec.Raw],
    Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_ROWS, "items": {"$ref": "#/components/schemas/PriceBody"}}),
]


class EventBody(BodyLabels, frozen=True, forbid_unknown_fields=True, gc=False):
    """One thing that an agent did."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("agent_id", "action")

    agent_id: Name | None = None
    action: Name | None = None
    tokens: Tokens | None = None
    tokens_input: Tokens | None = None
    tokens_output: Tokens | None = None
    tokens_in: Tokens | None = None
    tokens_out: Tokens | None = None
    tokens_cache_read: Tokens | None = None
    tokens_cache_write: Tokens | None = None
    tokens_reasoning: Tokens | None = None
    quantities: QuantityMap | None = None
    usage: Object | UnsetType = UNSET
    outcome: Literal["success", "failure", "pending"] | None = None
    expires_at: Time | None = None
    on_expiry: OnExpiry | None = None
    metadata: Object | UnsetType = UNSET
    idempotency_key: Name | None = None
    timestamp: Time | None = None
    customer_id: Customer | None = None
    reservation_id: ReservationId | None = None


class BatchBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Events of one customer, all of which are charged or none."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("events",)

    events: Annotated[list[EventBody], MANY] | None = None
    customer_id: Customer | None = None
    import_id: Label | None = None


class LooseBatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """A batch whose events are decoded one by one, so that every error is reported."""

    events: list[msgspec.Raw] | None = None
    customer_id: Name | None = None
    import_id: str | None = None


class SignupBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who signed up, and the UTM parameters of the link that led there."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("email",)

    email: Name | None = None
    utm_source: Name | None = None
    utm_medium: Name | None = None
    utm_campaign: Name | None = None


class KeyBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new API key. ``test``: its events stay out of the totals. ``signup``: its new customer signed up itself."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("customer_id",)

    customer_id: Owner | None = None
    customer_name: Name | None = None
    test: bool | None = None
    signup: SignupBody | None = None


Amount = Annotated[
    msgspec.Raw,
    Meta(
        description="Cents: a number or a decimal string from 0 to 10^12 with at most 12 decimals.",
        extra_json_schema={"type": ["number", "string", "null"], "minimum": 0, "maximum": 10**12},
    ),
]


class PriceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new price for an action (or ``*``), for everyone or for one customer, and for one model or provider or any."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("action_type",)

    action_type: Name | None = None
    base_rate_cents: Rate | UnsetType = UNSET
    token_rate_cents: Rate | UnsetType = UNSET
    outcome_bonus_cents: Rate | UnsetType = UNSET
    rates: RateMap | None = None
    ignore_unknown: bool | None = None
    model: Name | None = None
    provider: Name | None = None
    customer_id: Customer | None = None
    effective_at: Time | None = None
    tiers: TierMap | None = None
    tier_mode: TierMode | None = None
    minimum_cents: Amount | UnsetType = UNSET
    cap_cents: Amount | UnsetType = UNSET


class PriceListBody(msgspec.Struct, forbid_unknown_fields=True):
    """A price list: 1 to 1,000 rows, each as POST /api/admin/pricing takes it."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("rows",)

    rows: PriceRows | None = None


class StepBody(msgspec.Struct, forbid_unknown_fields=True):
    """A step of a quantity. ``up_to`` is null for the last one."""

    up_to: msgspec.Raw | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET
    per: Annotated[int, Meta(ge=1, le=MAX_PER)] | None = None


class RateBody(msgspec.Struct, forbid_unknown_fields=True):
    """The rate of a quantity for so many units."""

    rate: Rate | UnsetType = UNSET
    per: Annotated[int, Meta(ge=1, le=MAX_PER)] | None = None


class CustomerBody(msgspec.Struct, forbid_unknown_fields=True):
    """Changes to a customer. ``external_ids`` maps a system to an id, and replaces what was there; ``stripe`` is the
    customer of Stripe that gets its invoices and usage.

    ``on_empty``: what prepaid credit does not cover is due (``charge``) or refused (``refuse``).
    """

    name: Name | None = None
    external_ids: dict[Name, Name] | None = None
    test: bool | None = None
    on_empty: OnEmpty | None = None


class BillingAnchorBody(msgspec.Struct, forbid_unknown_fields=True):
    """The day of the month on which a customer's billing periods begin; in a shorter month, on its last day."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("billing_anchor",)

    billing_anchor: Annotated[int, Meta(ge=1, le=MAX_DAY)] | None = None


class BudgetBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new budget. ``value``: the agent, action, model or id of the key that it is for; absent for scope ``all``."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("customer_id", "scope", "period", "limit_cents", "hard")

    customer_id: Customer | None = None
    scope: Scope | None = None
    value: Name | None = None
    period: BudgetPeriod | None = None
    limit_cents: Amount | UnsetType = UNSET
    hard: bool | None = None
    test: bool | None = None
    idempotency_key: Name | None = None


class GrantBody(msgspec.Struct, forbid_unknown_fields=True):
    """Prepaid credit. ``priority``: of grants that expire together, the lower one is drawn first.

    ``category``: paid, if the customer paid for it; else it is promotional.
    """

    REQUIRED: ClassVar[tuple[str, ...]] = ("customer_id", "amount_cents", "reason")

    customer_id: Customer | None = None
    amount_cents: Amount | UnsetType = UNSET
    reason: Reason | None = None
    expires_at: Time | None = None
    priority: Annotated[int, Meta(ge=0, le=100)] | None = None
    low_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    category: Category | None = None
    test: bool | None = None
    idempotency_key: Name | None = None


class ReservationBody(msgspec.Struct, forbid_unknown_fields=True):
    """Money to hold: ``amount_cents``, or what the event ``estimate`` would cost now, by the customer's prices.

    ``agent_id``, ``action``, ``model``: what an amount is for, so that budgets of these hold it, too.
    """

    amount_cents: Amount | UnsetType = UNSET
    estimate: EventBody | None = None
    ttl_seconds: Annotated[int, Meta(ge=1, le=MAX_TTL // 1000)] | None = None
    agent_id: Name | None = None
    action: Name | None = None
    model: Name | None = None
    customer_id: Customer | None = None
    idempotency_key: Name | None = None


class _TaskBody(msgspec.Struct, forbid_unknown_fields=True):
    task_id: Task | None = None
    agent_id: Name | None = None


TERM_FIELDS: dict[Kind, tuple[Any, Any]] = {
    "price": (Rate | UnsetType, UNSET),
    "text": (Name | None, None),
    "json": (Object | UnsetType, UNSET),
}
"""For each kind of term: its type in a body, and the value of an absent one."""
if TYPE_CHECKING:
    _TermsBody = _TaskBody
else:
    _TermsBody = msgspec.defstruct(
        "_TermsBody",
        [(term.name, *TERM_FIELDS[term.kind]) for term in TERMS],
        bases=(_TaskBody,),
        forbid_unknown_fields=True,
        module=__name__,
    )


class OutcomeBody(_TermsBody, forbid_unknown_fields=True):
    """A task whose price depends on its result. ``on_expiry``: the verdict whose price an expiry charges."""

    REQUIRED: ClassVar[tuple[str, ...]] = (
        "task_id", "agent_id", *(term.name for term in TERMS if term.required), "expires_at",
    )  # fmt: skip

    expires_at: Time | None = None
    on_expiry: OnExpiry | None = None
    idempotency_key: Name | None = None
    customer_id: Customer | None = None


class ResolveBody(msgspec.Struct, forbid_unknown_fields=True):
    """The verdict: ``success`` with ``evidence``, or ``outcome`` with ``metadata``."""

    success: bool | None = None
    evidence: Object | UnsetType = UNSET
    outcome: Literal["success", "failure"] | None = None
    metadata: Object | UnsetType = UNSET
    idempotency_key: Name | None = None
    customer_id: Customer | None = None


class LookupBody(msgspec.Struct, forbid_unknown_fields=True):
    """The idempotency keys of the events to look up."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("idempotency_keys",)

    idempotency_keys: Annotated[list[Name], MANY] | None = None
    customer_id: Customer | None = None


class PaymentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A payment of an invoice; ``reference`` names it, so that a repeat is not another one."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("reference", "amount_cents")

    reference: Name | None = None
    amount_cents: Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 10**15})] | None = None


class BillToBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom invoices are for; ``country``: two letters, ISO 3166."""

    name: Line | None = None
    email: (
        Annotated[str, Meta(extra_json_schema={"minLength": 3, "maxLength": 256, "pattern": EMAIL_PATTERN})] | None
    ) = None
    line1: Line | None = None
    line2: Line | None = None
    postal_code: Line | None = None
    city: Line | None = None
    state: Line | None = None
    country: Annotated[str, Meta(extra_json_schema={"pattern": COUNTRY_PATTERN})] | None = None
    tax_id: Line | None = None


class BillingBody(msgspec.Struct, forbid_unknown_fields=True):
    """How a customer is billed. What is absent gets its default; ``tax_percent`` needs a ``tax_reason``."""

    currency: (
        Annotated[str, Meta(extra_json_schema={"enum": sorted({*MINOR_DIGITS, *map(str.upper, MINOR_DIGITS)})})] | None
    ) = None
    tax_percent: (
        Annotated[
            msgspec.Raw,
            Meta(
                description="A number or decimal text from 0 to 100 with at most 2 decimals.",
                extra_json_schema={"type": ["number", "string", "null"], "minimum": 0, "maximum": 100},
            ),
        ]
        | UnsetType
    ) = UNSET
    tax_reason: Line | None = None
    payment_terms_days: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": MAX_TERMS})] | None = None
    bill_to: BillToBody | None = None
    billing_interval: Annotated[str, Meta(extra_json_schema={"enum": ["week", "month"]})] | None = None
    billing_anchor: (
        Annotated[
            int,
            Meta(
                description="The day of the month, the last one if it has fewer days; or of the week, Monday is 1.",
                extra_json_schema={"minimum": 1, "maximum": 31},
            ),
        ]
        | None
    ) = None
    time_zone: Annotated[str, Meta(description="A name of the IANA database: Europe/Berlin.")] | None = None
    invoice_threshold_cents: (
        Annotated[
            int,
            Meta(
                description="A period ends early once its invoice would be of more.",
                extra_json_schema={"minimum": 1, "maximum": MAX_THRESHOLD},
            ),
        ]
        | None
    ) = None


class ReconcileBody(msgspec.Struct, forbid_unknown_fields=True):
    """The month to compare."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("month",)

    month: Month | None = None


class RunBody(msgspec.Struct, forbid_unknown_fields=True):
    """The month to make invoices of; with ``dry_run``, only show them."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("month",)

    month: Month | None = None
    dry_run: bool | None = None


class VoidsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The events and charges to void, and the reason."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("event_ids", "reason")

    event_ids: Annotated[list[Id], MANY] | None = None
    reason: Reason | None = None


class VoidBody(msgspec.Struct, forbid_unknown_fields=True):
    """The reason for voiding an entry."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("reason",)

    reason: Reason | None = None
