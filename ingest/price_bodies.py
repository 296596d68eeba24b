"""A price row as a caller gave it, checked as the shard will check it, so that nothing is recorded of a mistake."""

from ingest import plain_names
from ingest.auth import check_customer_id
from ingest.bodies import PriceBody
from ingest.context import Context
from ingest.problems import Invalid
from ingest.rates import rates_of
from ingest.validation import CHARGE_ACTION, time_of
from schemas.commands import ListedPrice
from schemas.money import MoneyError
from schemas.price_match import ANY
from schemas.rate_rules import canonical_rates


def price_row(context: Context, body: PriceBody) -> ListedPrice:
    """Return the row of a body. Raises Invalid naming the field."""
    if body.action_type is None:
        raise Invalid("action_type is required")
    plain_names.check("action_type", body.action_type)
    model, provider = (_label(name, getattr(body, name)) for name in ("model", "provider"))
    if body.action_type == CHARGE_ACTION:
        raise Invalid(f"action_type {CHARGE_ACTION!r} is reserved")
    if body.customer_id is not None:
        check_customer_id(context, body.customer_id)
    try:
        rates = canonical_rates(rates_of(body))
    except MoneyError as error:
        raise Invalid(str(error)) from None
    return ListedPrice(
        action_type=body.action_type,
        rates=rates,
        customer_id=body.customer_id,
        model=model,
        provider=provider,
        effective_at=_start(context, body.effective_at),
    )


def _label(name: str, text: str | None) -> str | None:
    """Return the model or provider that a price is for; None for any. Raises Invalid."""
    if text is None or text == ANY:
        return None
    plain_names.check(name, text)
    return text


def _start(context: Context, text: str | None) -> int | None:
    """Return the accepted time from which a price is in force. The shard checks it again, by its own time."""
    if text is None:
        return None
    at = time_of("effective_at", text)
    if at <= context.clock():
        raise Invalid("effective_at must be in the future")
    return at
