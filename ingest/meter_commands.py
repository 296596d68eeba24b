"""What every request that meters events does: bounds of times, prices looked up before the append, the command."""

from ingest.auth import require_latest
from ingest.context import Context
from ingest.validation import TimeBounds
from schemas.commands import Meter, MeterEvent, Mode
from schemas.config import ApiKey, Price
from schemas.quantities import no_rate, without_rate
from schemas.replies import IndexedError


def no_price(action: str) -> str:
    """Return the error message for an action that has no price."""
    return f"no price for action {action!r}"


def meter_command(
    context: Context,
    key: ApiKey,
    customer_id: str,
    events: list[MeterEvent],
    mode: Mode,
    batch: bool,
    import_id: str | None = None,
) -> Meter:
    """Return the command of a request's events."""
    settings = context.settings
    return Meter(
        customer_id=customer_id,
        api_key_id=key.id,
        events=events,
        idempotency_window=settings.idempotency_window,
        outcome_ttl=settings.outcome_ttl,
        batch=batch,
        test=mode == "test",
        mode=mode,
        import_id=import_id,
        on_empty=context.view.on_empty(customer_id),
    )


def bounds(context: Context) -> TimeBounds:
    """Return the bounds for the times of events that are accepted now."""
    return TimeBounds(context.clock(), context.settings.idempotency_window)


async def unpriced(context: Context, customer_id: str, events: list[MeterEvent]) -> list[IndexedError]:
    """Return an error for each event without a price, or with a quantity that its price has no rate for.

    Another gateway may have just set one, so the view catches up before an event is reported as
    unpriced. Raises NotRecordedYet when it cannot.
    """
    missing = _missing(context, customer_id, events)
    if missing:
        await require_latest(context)
        missing = _missing(context, customer_id, events)
    return missing


def _missing(context: Context, customer_id: str, events: list[MeterEvent]) -> list[IndexedError]:
    prices: dict[tuple[str, str | None, str | None], list[Price]] = {}
    missing, now = [], context.clock()
    for index, event in enumerate(events):
        named = (event.action, event.model, event.provider)
        possible = prices.get(named)
        if possible is None:
            possible = prices[named] = context.view.prices_about(now, customer_id, *named)
        if not possible:
            missing.append(IndexedError(index, no_price(event.action)))
        elif event.quantities:
            unknown = [_without_rate(event, price) for price in possible]
            if all(unknown):
                missing.append(IndexedError(index, no_rate(str(unknown[0]), event.action)))
    return missing


def _without_rate(event: MeterEvent, price: Price) -> str | None:
    rates = price.rates
    return None if rates.ignore_unknown else without_rate(event.quantities, (*rates.quantities, *rates.tiers))
