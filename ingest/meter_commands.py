"""What every request that meters events does: bounds of times, prices looked up before the append, the command."""

from collections.abc import Iterable

from ingest.auth import mode_of, require_latest
from ingest.context import Context
from ingest.unpriced_actions import UnpricedKey
from ingest.validation import TimeBounds
from schemas.commands import Meter, MeterEvent, Mode, Unpriced
from schemas.config import ApiKey, Price
from schemas.quantities import no_rate, without_rate
from schemas.replies import IndexedError

ActionName = tuple[str, str | None, str | None]
"""Action, model and provider."""


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
    unpriced: Unpriced = "refuse",
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
        unpriced=unpriced,
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


def waits_for_price(context: Context, event: MeterEvent, error: str) -> bool:
    """True if an event of a dialect that :func:`unpriced` has an error for is recorded at 0 all the same, as the
    pricer decides it (REV_UNPRICED)."""
    accepts = context.settings.unpriced == "accept" and error == no_price(event.action)
    return accepts and event.outcome != "pending" and event.reservation_id is None


def note_unpriced(
    context: Context, key: ApiKey, customer_id: str, events: list[MeterEvent], missing: list[IndexedError], dialect: str
) -> None:
    """Put the events that :func:`unpriced` has errors for on the list of GET /api/admin/unpriced."""
    mode, now = mode_of(context, key, customer_id), context.clock()
    for error in missing:
        event = events[error.index]
        named = (event.action, event.model, event.provider)
        quantity = lacking(context, customer_id, named, event.quantities)
        context.unpriced.note(UnpricedKey(customer_id, mode, *named, dialect, quantity or None), now)


def lacking(context: Context, customer_id: str, named: ActionName, quantities: Iterable[str]) -> str | None:
    """Return the quantity that no price of the action has a rate for, "" without a price at all, or None if an event
    with these quantities can be charged."""
    possible = context.view.prices_about(context.clock(), customer_id, *named)
    if not possible:
        return ""
    return _without_rate(quantities, possible)


def _missing(context: Context, customer_id: str, events: list[MeterEvent]) -> list[IndexedError]:
    prices: dict[ActionName, list[Price]] = {}
    missing, now = [], context.clock()
    for index, event in enumerate(events):
        named = (event.action, event.model, event.provider)
        possible = prices.get(named)
        if possible is None:
            possible = prices[named] = context.view.prices_about(now, customer_id, *named)
        if not possible:
            missing.append(IndexedError(index, no_price(event.action)))
        elif event.quantities and (unknown := _without_rate(event.quantities, possible)) is not None:
            missing.append(IndexedError(index, no_rate(unknown, event.action)))
    return missing


def _without_rate(quantities: Iterable[str], possible: list[Price]) -> str | None:
    """Return the first quantity without a rate if that is so in every price, by the first of them; else None."""
    first: str | None = None
    for price in possible:
        rates = price.rates
        if rates.ignore_unknown:
            return None
        unknown = without_rate(quantities, (*rates.quantities, *rates.tiers))
        if unknown is None:
            return None
        first = first or unknown
    return first
