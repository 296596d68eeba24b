"""Conversion of rates and amounts as a person or program typed them, a JSON number or decimal text, to exact cents.

Pure; uses no floats.
"""

import msgspec
from msgspec import UNSET, UnsetType

from ingest.bodies import PriceBody, RateBody, StepBody
from ingest.counts import micro_units
from ingest.error_messages import DecodeFailure, explain
from ingest.problems import Invalid
from schemas.commands import Rates
from schemas.money import RATE_WANTED, MoneyError, amount_from_text, rate_from_text
from schemas.quantities import QuantityRate, format_quantity
from schemas.tiers import Step, Tiers

_decode_step = msgspec.json.Decoder(StepBody).decode
_decode_rate = msgspec.json.Decoder(RateBody).decode


def rates_of(body: PriceBody) -> Rates:
    """Return the rates of a price; absent ones are 0. Raises Invalid naming the field."""
    return Rates(
        base=rate("base_rate_cents", body.base_rate_cents),
        token=rate("token_rate_cents", body.token_rate_cents),
        bonus=rate("outcome_bonus_cents", body.outcome_bonus_cents),
        quantities=tuple(quantity_rate(name, raw) for name, raw in sorted((body.rates or {}).items())),
        ignore_unknown=bool(body.ignore_unknown),
        tiers=tuple(tiers(name, steps) for name, steps in sorted((body.tiers or {}).items())),
        tier_mode=body.tier_mode or "graduated",
        minimum=amount_or_none("minimum_cents", body.minimum_cents),
        cap=amount_or_none("cap_cents", body.cap_cents),
    )


def tiers(name: str, steps: list[msgspec.Raw]) -> Tiers:
    """Return the steps of a quantity. Raises Invalid naming the step and the field; schemas.rate_rules checks their
    order."""
    return Tiers(name, tuple(_step(f"tiers.{name[:80]}[{number}]", raw) for number, raw in enumerate(steps)))


def _step(field: str, raw: msgspec.Raw) -> Step:
    try:
        given = _decode_step(raw)
    except DecodeFailure as error:
        raise Invalid(f"{field}: {explain(error, bytes(raw), StepBody).replace('the body', 'it')}") from None
    for name in ("up_to", "rate"):
        if getattr(given, name) is UNSET or (name == "rate" and bytes(given.rate) == b"null"):  # type: ignore[arg-type]
            raise Invalid(f"{field}.{name} is required")
    return Step(_up_to(f"{field}.up_to", given.up_to), rate(f"{field}.rate", given.rate), given.per or 1)


def _up_to(field: str, raw: msgspec.Raw | UnsetType) -> str | None:
    """Return the canonical text of a count, or None for the last step's null. Raises Invalid."""
    if raw is UNSET or bytes(raw) == b"null":
        return None
    return format_quantity(micro_units(field, raw))


def quantity_rate(name: str, raw: msgspec.Raw) -> QuantityRate:
    """Return the rate of a quantity: a rate for one unit, or ``{"rate", "per"}``. Raises Invalid naming the field.

    The pricer checks the name, and that one unit needs at most 12 decimals.
    """
    field = f"rates.{name[:80]}"
    text = bytes(raw)
    if text == b"null":
        raise Invalid(f"{field} {RATE_WANTED}")
    if not text.startswith(b"{"):
        return QuantityRate(name, rate(field, raw))
    try:
        given = _decode_rate(text)
    except DecodeFailure as error:
        raise Invalid(f"{field}: {explain(error, text, RateBody).replace('the body', 'it')}") from None
    if given.rate is UNSET:
        raise Invalid(f"{field}.rate is required")
    return QuantityRate(name, rate(f"{field}.rate", given.rate), 1 if given.per is None else given.per)


def rate(name: str, raw: msgspec.Raw | UnsetType) -> str:
    """Return a rate's JSON text as canonical cents; "0" when it is absent or null. Raises Invalid."""
    text = _text(raw)
    try:
        return "0" if text is None else rate_from_text(text)
    except MoneyError as error:
        raise Invalid(f"{name} {error}") from None


def amount(name: str, raw: msgspec.Raw | UnsetType) -> str:
    """Return an amount's JSON text as canonical cents. Raises Invalid, also when it is absent or null."""
    text = _text(raw)
    if text is None:
        raise Invalid(f"{name} is required")
    return amount_of_text(name, text)


def amount_or_none(name: str, raw: msgspec.Raw | UnsetType) -> str | None:
    """Return an amount's JSON text as canonical cents; None when it is absent or null. Raises Invalid."""
    text = _text(raw)
    return None if text is None else amount_of_text(name, text)


def amount_of_text(name: str, text: str) -> str:
    """Return an amount's decimal text as canonical cents. Raises Invalid."""
    try:
        return amount_from_text(text)
    except MoneyError as error:
        raise Invalid(f"{name} {error}") from None


def _text(raw: msgspec.Raw | UnsetType) -> str | None:
    """Return a number's digits, whether it is a JSON number or text; None when it is absent or null."""
    text = "null" if raw is UNSET else bytes(raw).decode("utf-8", "replace")
    if text == "null":
        return None
    return text[1:-1] if text.startswith('"') and text.endswith('"') else text
