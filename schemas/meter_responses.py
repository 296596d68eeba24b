"""A charged meter event as the API shows it: the response of POST /v1/meter and the webhook of the same event.

Pure and exact: the same receipt always gives the same text. Money is ``Raw``: decimal text printed as an
exact JSON number, never through a float.
"""

from functools import lru_cache
from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from schemas.commands import MeterEvent, PriceRef
from schemas.funding import due
from schemas.money import dollars_exact, format_cents, parse_cents
from schemas.objects import Number, RateObject, iso, rates_shown
from schemas.quantities import Line, all_quantities
from schemas.replies import Receipt

CURRENCY = "usd"


class Breakdown(msgspec.Struct, frozen=True, gc=False):
    """The parts of a price. ``quantity_charge_cents``: for quantities that are not tokens; absent without any."""

    base_rate_cents: Number
    token_charge_cents: Number
    outcome_bonus_cents: Number
    quantity_charge_cents: Number | UnsetType = UNSET


class LineResponse(msgspec.Struct, frozen=True, gc=False):
    """``quantity`` units at ``rate_cents`` for every ``per`` of them cost ``cents``."""

    component: str
    quantity: Number
    rate_cents: Number
    per: int
    cents: Number


class AppliedPrice(msgspec.Struct, frozen=True, gc=False):
    """The price row that matched."""

    action_type: str
    base_rate_cents: Number
    token_rate_cents: Number
    outcome_bonus_cents: Number
    is_default: bool
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    rates: dict[str, RateObject] | UnsetType = UNSET


class PriceResponse(msgspec.Struct, frozen=True, gc=False):
    """``lines``: what tokens and quantities cost, one by one. Absent when all that was charged by quantity is tokens at
    the token rate.
    """

    total_cents: Number
    breakdown: Breakdown
    config: AppliedPrice
    lines: list[LineResponse] | UnsetType = UNSET


class DollarBreakdown(msgspec.Struct, frozen=True, gc=False):
    base: Number
    tokens: Number
    outcome: Number
    quantities: Number | UnsetType = UNSET


class EventResponse(msgspec.Struct, frozen=True, gc=False):
    """``quantities``: every quantity of an event that gave other ones than input and output."""

    customer_id: str
    agent_id: str
    action: str
    tokens: int
    tokens_input: int | None
    tokens_output: int | None
    outcome: str | None
    quantities: dict[str, Number] | UnsetType = UNSET


class MeterResponse(msgspec.Struct, frozen=True, gc=False):
    """201: the event is in the ledger at this price."""

    event_id: int
    price: PriceResponse
    price_charged: Number
    price_breakdown: DollarBreakdown
    currency: str
    outcome_id: str | None
    event: EventResponse
    created_at: str
    test: bool = False
    status: Literal["priced", "voided"] = "priced"
    warnings: list[str] | UnsetType = UNSET
    budgets_exceeded: tuple[int, ...] | UnsetType = UNSET
    """Ids of the budgets whose limit the event exceeded; absent without any."""
    credit_cents: Number | UnsetType = UNSET
    """What prepaid credit paid; absent for a customer without any grant until then, as due_cents."""
    due_cents: Number | UnsetType = UNSET


encode = msgspec.json.Encoder().encode


def metered(customer_id: str, event: MeterEvent, receipt: Receipt, test: bool = False, voided: bool = False) -> bytes:
    """Return the 201 body of an event that was charged, now or when its key was first used.

    ``voided``: True if it was voided since.
    """
    shown = priced(customer_id, event, receipt, test)
    return encode(msgspec.structs.replace(shown, status="voided") if voided else shown)


def priced(customer_id: str, event: MeterEvent, receipt: Receipt, test: bool = False) -> MeterResponse:
    """Return the response for a charged event, before it is encoded."""
    base, token, bonus, total = cents(receipt.base), cents(receipt.token), cents(receipt.bonus), receipt.total
    breakdown, applied = Breakdown(base, token, bonus), _applied(receipt.price)
    dollars = DollarBreakdown(_dollars(receipt.base), _dollars(receipt.token), _dollars(receipt.bonus))
    price = PriceResponse(cents(total), breakdown, applied)
    if receipt.lines:
        breakdown = Breakdown(base, token, bonus, cents(receipt.quantity))
        price = PriceResponse(cents(total), breakdown, applied, [_line(line) for line in receipt.lines])
        dollars = msgspec.structs.replace(dollars, quantities=_dollars(receipt.quantity))
    credit = receipt.credit
    return MeterResponse(
        event_id=receipt.event_id,
        price=price,
        price_charged=_dollars(total),
        price_breakdown=dollars,
        currency=CURRENCY,
        outcome_id=receipt.outcome_id,
        event=subject(customer_id, event),
        created_at=iso(receipt.recorded_at),
        test=test,
        budgets_exceeded=receipt.exceeded or UNSET,
        credit_cents=UNSET if credit is None else cents(credit),
        due_cents=UNSET if credit is None else cents(due(total, credit)),
    )


def subject(customer_id: str, event: MeterEvent) -> EventResponse:
    """Return the event's own fields, as every response about it repeats them."""
    return EventResponse(
        customer_id=customer_id,
        agent_id=event.agent_id,
        action=event.action,
        tokens=event.tokens,
        tokens_input=event.tokens_input,
        tokens_output=event.tokens_output,
        outcome=event.outcome,
        quantities=quantities_shown(event) if event.quantities else UNSET,
    )


def quantities_shown(event: MeterEvent) -> dict[str, Raw]:
    """Return every quantity of an event as exact JSON numbers."""
    return {name: Raw(text.encode()) for name, text in all_quantities(event).items()}


@lru_cache(maxsize=65536)
def cents(text: str) -> Raw:
    """Return canonical decimal text as a JSON number; it is parsed so that nothing else passes."""
    return Raw(format_cents(pico(text)).encode())


@lru_cache(maxsize=65536)
def pico(text: str) -> int:
    """Return the pico-cents of canonical decimal text in cents."""
    return parse_cents(text)


@lru_cache(maxsize=4096)
def _applied(price: PriceRef) -> AppliedPrice:
    rates = price.rates
    return AppliedPrice(
        action_type=price.action_type,
        base_rate_cents=cents(rates.base),
        token_rate_cents=cents(rates.token),
        outcome_bonus_cents=cents(rates.bonus),
        is_default=price.is_default,
        model=price.model or UNSET,
        provider=price.provider or UNSET,
        rates=rates_shown(rates) or UNSET,
    )


@lru_cache(maxsize=4096)
def _line(line: Line) -> LineResponse:
    return LineResponse(line.component, Raw(line.quantity.encode()), cents(line.rate), line.per, cents(line.cents))


@lru_cache(maxsize=65536)
def _dollars(text: str) -> Raw:
    return Raw(dollars_exact(pico(text)).encode())
