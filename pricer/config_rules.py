"""What names, customers and rates a configuration command may have. Pure; every check raises ConfigRefused."""

from pricer import prices
from pricer.config_transaction import ConfigRefused
from schemas.commands import Rates
from schemas.limits import MAX_NAME
from schemas.money import MoneyError
from schemas.price_match import PriceSlot
from schemas.rate_rules import canonical_rates

PLATFORM = "*"
"""Customer of a key that may act for every customer."""


def valid_rates(rates: Rates) -> Rates:
    """Return rates in canonical form."""
    try:
        return canonical_rates(rates)
    except MoneyError as error:
        raise ConfigRefused(400, "invalid_request", str(error)) from None


def check_slot(slot: PriceSlot) -> None:
    """Check what a price is for."""
    if slot.customer_id is not None:
        check_customer(slot.customer_id)
    for field, name in (("action_type", slot.action), ("model", slot.model), ("provider", slot.provider)):
        if name is not None:
            check_name(field, name)
    if slot.action == prices.CHARGE_ACTION:
        raise ConfigRefused(400, "invalid_request", f"action {prices.CHARGE_ACTION!r} is reserved")


def check_name(field: str, name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        raise ConfigRefused(
            400, "invalid_request", f"{field} must be 1 to {MAX_NAME} characters, no control characters"
        )


def check_customer(customer_id: str) -> None:
    check_name("customer_id", customer_id)
    if customer_id == PLATFORM or customer_id.startswith("_"):
        raise ConfigRefused(400, "invalid_request", f"customer id {customer_id!r} is reserved")
