"""Keys, prices, customers, outcomes and voids as the API shows them (docs/api.md), as JSON text.

The same text answers the request and is the ``detail`` of the ledger's entry, from which the
audit, lists and webhooks are made. Money is an exact JSON number; a time is ISO 8601 UTC with
milliseconds. No secret appears here: of a key only its mask.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from schemas.commands import OnEmpty, OnExpiry, Rates, Signup, Void
from schemas.compiled import dict_of
from schemas.config import ApiKey, Customer, Price
from schemas.entries import Verdict
from schemas.funding import due
from schemas.ids import outcome_id
from schemas.outcome_terms import ADDED_TERMS, TERMS, Kind, Term
from schemas.raw_json import NULL
from schemas.state import ClosedOutcome, OpenOutcome

Number = Annotated[msgspec.Raw, Meta(description="Exact.", extra_json_schema={"type": "number"})]
NumberOrNull = Annotated[msgspec.Raw, Meta(description="Exact.", extra_json_schema={"type": ["number", "null"]})]
Json = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC, printed without its offset
_encode = msgspec.json.Encoder().encode


def _null() -> msgspec.Raw:
    # a factory, since a default of Raw cannot be described in a JSON schema
    return NULL


def number(cents: str) -> msgspec.Raw:
    """Return canonical decimal text as a JSON number, digit by digit."""
    return msgspec.Raw(cents.encode())


class KeyObject(msgspec.Struct, frozen=True):
    """An API key. The gateway adds ``api_key``, once, in the response to its creation."""

    id: int
    customer_id: str
    customer_name: str | None
    api_key_masked: str
    is_active: bool
    test: bool
    created_at: str


class RateObject(msgspec.Struct, frozen=True):
    """``rate`` cents for every ``per`` units."""

    rate: Number
    per: int


class StepObject(msgspec.Struct, frozen=True):
    """A step: ``rate`` cents for every ``per`` units until the month's count is ``up_to``; null is without end."""

    up_to: NumberOrNull
    rate: Number
    per: int


class PriceObject(msgspec.Struct, frozen=True, kw_only=True):
    """A price. ``model`` and ``provider`` are absent for any, ``rates`` (by quantity) without any.

    ``effective_at``: when it comes or came into force, if it was scheduled; ``scheduled``: it is not in force yet.
    """

    id: int
    customer_id: str | None
    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_active: bool
    created_at: str
    ended_at: str | None
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    rates: dict[str, RateObject] | UnsetType = UNSET
    ignore_unknown: bool | UnsetType = UNSET
    tiers: dict[str, list[StepObject]] | UnsetType = UNSET
    tier_mode: Literal["volume"] | UnsetType = UNSET
    """Absent for graduated steps."""
    minimum_cents: Number | UnsetType = UNSET
    """Of a customer's month, as cap_cents."""
    cap_cents: Number | UnsetType = UNSET
    effective_at: str | UnsetType = UNSET
    scheduled: bool | UnsetType = UNSET


class SignupObject(msgspec.Struct, frozen=True):
    """A sign-up, as the audit trail shows it."""

    customer_id: str
    name: str | None
    email: str
    utm_source: str | None
    utm_medium: str | None
    utm_campaign: str | None
    created_at: str


class CustomerObject(msgspec.Struct, frozen=True):
    customer_id: str
    name: str | None
    external_ids: dict[str, str]
    test: bool
    created_at: str
    metered: bool = False
    on_empty: OnEmpty | UnsetType = UNSET
    """Absent for ``charge``."""


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    task_id: str | None
    outcome_id: str
    event_id: int
    customer_id: str
    agent_id: str
    action: str


SHOWN: dict[Kind, tuple[Any, str, Any]] = {
    "price": (Number, "number(source.{})", msgspec.Raw(b"0")),
    "text": (str | None, "source.{}", None),
    "json": (Json, "source.{} or NULL", NULL),
}
"""For each kind of term: its type in the object, its value, and the value of an absent one."""


def _shown_field(term: Term) -> tuple[Any, ...]:
    type, _, absent = SHOWN[term.kind]
    if term not in ADDED_TERMS:
        return term.shown_as, type
    # it is missing in the older objects that the ledger holds
    return term.shown_as, type, None if absent is None else field(default_factory=lambda: absent)


if TYPE_CHECKING:
    _OutcomeTerms = _Outcome

    def _shown_terms(source: OpenOutcome) -> dict[str, Any]: ...

else:
    _OutcomeTerms = msgspec.defstruct(
        "_OutcomeTerms", map(_shown_field, TERMS), bases=(_Outcome,), frozen=True, kw_only=True, module=__name__
    )
    _shown_terms = dict_of(
        {term.shown_as: SHOWN[term.kind][1].format(term.name) for term in TERMS}, number=number, NULL=NULL
    )


class OutcomeObject(_OutcomeTerms, frozen=True, kw_only=True):
    """An outcome as every endpoint of outcomes shows it.

    ``success``: None while pending, and true only for a proven success. ``charge_cents``: None while pending.
    ``event_id``: of what opened it. ``voided``: its charge was voided, or nothing will be charged.
    """

    on_expiry: OnExpiry
    expires_at: str
    status: Literal["pending", "succeeded", "failed", "expired"]
    success: bool | None = None
    charge_cents: NumberOrNull = field(default_factory=_null)
    evidence: Json = field(default_factory=_null)
    created_at: str
    resolved_at: str | None = None
    voided: bool = False
    test: bool = False
    warnings: list[str] | UnsetType = UNSET
    """Given only in the response to a registration."""
    credit_cents: Number | UnsetType = UNSET
    """What prepaid credit paid of the charge; absent for a customer without any grant until then, as due_cents."""
    due_cents: Number | UnsetType = UNSET


class OutcomeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of an outcome, which the shard always knows.

    It is in refusals, and in replies when the rest of the outcome is in the ledger.
    """

    task_id: str | None
    outcome_id: str
    status: Literal["pending", "succeeded", "failed", "expired"]
    success: bool | None = None
    charge_cents: NumberOrNull = field(default_factory=_null)
    resolved_at: str | None = None
    voided: bool = False
    test: bool = False


class VoidObject(msgspec.Struct, frozen=True, kw_only=True):
    """A negative entry. ``event_id`` is its own, ``voided_event_id`` that of the voided entry."""

    event_id: int
    voided_event_id: int
    outcome_id: str | None
    customer_id: str
    agent_id: str
    action: str
    total_cents: Number
    """Negative or zero."""
    reason: str
    created_at: str
    test: bool = False


def iso(at: int) -> str:
    """Return milliseconds UTC as ``2026-04-26T12:00:00.000Z``."""
    minute, rest = divmod(at, 60_000)
    digits = f"{rest:05d}"
    return f"{_iso_minute(minute)}:{digits[:2]}.{digits[2:]}Z"


@lru_cache(maxsize=4096)  # the times of a batch, a page or a file share their minutes
def _iso_minute(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes")


def key_shown(key: ApiKey) -> KeyObject:
    return KeyObject(
        id=key.id,
        customer_id=key.customer_id,
        customer_name=key.customer_name,
        api_key_masked=key.mask,
        is_active=key.is_active,
        test=key.test,
        created_at=iso(key.created_at),
    )


def price_shown(price: Price, at: int | None = None) -> PriceObject:
    """Return a price as it is at a time, by default when it was set."""
    rates = price.rates
    scheduled = price.is_active and price.start > (price.created_at if at is None else at)
    return PriceObject(
        id=price.id,
        customer_id=price.customer_id,
        action_type=price.action_type,
        base_rate_cents=number(rates.base),
        token_rate_cents=number(rates.token),
        outcome_bonus_cents=number(rates.bonus),
        is_active=price.is_active,
        created_at=iso(price.created_at),
        ended_at=None if price.ended_at is None else iso(price.ended_at),
        model=price.model or UNSET,
        provider=price.provider or UNSET,
        rates=rates_shown(rates) or UNSET,
        ignore_unknown=rates.ignore_unknown or UNSET,
        tiers=tiers_shown(rates) or UNSET,
        **month_terms_shown(rates),
        effective_at=UNSET if price.effective_at is None else iso(price.effective_at),
        scheduled=scheduled or UNSET,
    )


def rates_shown(rates: Rates) -> dict[str, RateObject]:
    """Return the rates of quantities by name, as they were set."""
    return {rate.name: RateObject(number(rate.rate), rate.per) for rate in rates.quantities}


def tiers_shown(rates: Rates) -> dict[str, list[StepObject]]:
    """Return the steps of quantities by name, as they were set."""
    return {
        tiers.name: [
            StepObject(NULL if step.up_to is None else number(step.up_to), number(step.rate), step.per)
            for step in tiers.steps
        ]
        for tiers in rates.tiers
    }


class MonthTerms(TypedDict):
    """The terms of a price that hold for a customer's month."""

    tier_mode: Literal["volume"] | UnsetType
    minimum_cents: msgspec.Raw | UnsetType
    cap_cents: msgspec.Raw | UnsetType


def month_terms_shown(rates: Rates) -> MonthTerms:
    """Return the terms of a price for a month, as they were set."""
    return {
        "tier_mode": UNSET if rates.tier_mode == "graduated" else rates.tier_mode,
        "minimum_cents": UNSET if rates.minimum is None else number(rates.minimum),
        "cap_cents": UNSET if rates.cap is None else number(rates.cap),
    }


def customer_shown(customer: Customer) -> CustomerObject:
    return CustomerObject(
        customer_id=customer.customer_id,
        name=customer.name,
        external_ids=customer.external_ids,
        test=customer.test,
        created_at=iso(customer.created_at),
        metered=customer.metered,
        on_empty=UNSET if customer.on_empty == "charge" else customer.on_empty,
    )


def key_object(key: ApiKey) -> msgspec.Raw:
    return msgspec.Raw(_encode(key_shown(key)))


def price_object(price: Price) -> msgspec.Raw:
    return msgspec.Raw(_encode(price_shown(price)))


def customer_object(customer: Customer) -> msgspec.Raw:
    return msgspec.Raw(_encode(customer_shown(customer)))


def signup_object(signup: Signup, customer: Customer) -> msgspec.Raw:
    return msgspec.Raw(
        _encode(
            SignupObject(
                customer_id=customer.customer_id,
                name=customer.name,
                email=signup.email,
                utm_source=signup.utm_source,
                utm_medium=signup.utm_medium,
                utm_campaign=signup.utm_campaign,
                created_at=iso(customer.created_at),
            )
        )
    )


def deleted(id: int) -> msgspec.Raw:
    """Return the response to a deletion, the first and every later one."""
    return msgspec.Raw(_encode({"success": True, "deleted_id": id}))


def outcome_object(opened: OpenOutcome) -> OutcomeObject:
    """Return an outcome that is open."""
    return OutcomeObject(
        task_id=opened.task_id,
        outcome_id=outcome_id(opened.event_id),
        event_id=opened.event_id,
        customer_id=opened.customer_id,
        agent_id=opened.agent_id,
        action=opened.action,
        on_expiry=opened.on_expiry,
        expires_at=iso(opened.expires_at),
        status="pending",
        created_at=iso(opened.created_at),
        voided=opened.voided,
        test=opened.test,
        **_shown_terms(opened),
    )


def closed_object(
    opened: OpenOutcome, verdict: Verdict, charge: str, evidence: msgspec.Raw, at: int, credit: str | None = None
) -> OutcomeObject:
    """Return the same outcome as it ended; ``at``: accepted time of what closed it, ``credit``: what prepaid credit
    paid of the charge."""
    return msgspec.structs.replace(
        outcome_object(opened),
        status=verdict,
        success=verdict == "succeeded",
        charge_cents=number(charge),
        evidence=evidence or NULL,
        resolved_at=iso(at),
        credit_cents=UNSET if credit is None else number(credit),
        due_cents=UNSET if credit is None else number(due(charge, credit)),
    )


def outcome_status(id: str, stored: OpenOutcome | ClosedOutcome, voided: bool) -> msgspec.Raw:
    """Return the status of an outcome, from what the shard keeps of it permanently."""
    if isinstance(stored, ClosedOutcome):
        shown = OutcomeStatus(
            task_id=stored.task_id,
            outcome_id=id,
            status=stored.verdict,
            success=stored.verdict == "succeeded",
            charge_cents=number(stored.charge),
            resolved_at=iso(stored.resolved_at),
            voided=voided,
            test=stored.test,
        )
    else:
        shown = OutcomeStatus(task_id=stored.task_id, outcome_id=id, status="pending", voided=voided, test=stored.test)
    return msgspec.Raw(_encode(shown))


def void_object(command: Void, event_id: int, total: str, at: int) -> msgspec.Raw:
    """Return a void; ``total``: canonical decimal text of the negative amount."""
    shown = VoidObject(
        event_id=event_id,
        voided_event_id=command.event_id,
        outcome_id=command.outcome_id,
        customer_id=command.customer_id,
        agent_id=command.event.agent_id,
        action=command.event.action,
        total_cents=number(total),
        reason=command.reason,
        created_at=iso(at),
        test=command.test,
    )
    return msgspec.Raw(_encode(shown))


def as_json(shown: OutcomeObject) -> msgspec.Raw:
    return msgspec.Raw(_encode(shown))


decode_outcome = msgspec.json.Decoder(OutcomeObject).decode
decode_standing = msgspec.json.Decoder(OutcomeStatus).decode
"""Decode the text of an OutcomeStatus, or of a whole outcome."""
SUCCESS = msgspec.Raw(b'{"success":true}')
