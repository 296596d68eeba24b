"""A price list on the configuration shard: every row is set, or none. Pure."""

from msgspec.structs import replace

from pricer.config_rules import check_slot, valid_rates
from pricer.config_transaction import ConfigRefused
from pricer.price_changes import PriceChanges, check_start
from schemas.commands import ListedPrice, SetPriceList
from schemas.price_list import MAX_ROWS, ListedChange, PriceListResponse, change_of, listed, response, same_scope
from schemas.price_match import PriceSlot


def apply(command: SetPriceList, changes: PriceChanges, now: int) -> PriceListResponse:
    """Set the rows of a price list that was accepted at ``now``, and return what it changed. Raises ConfigRefused
    naming the row; then nothing of it holds."""
    if not 1 <= len(command.rows) <= MAX_ROWS:
        raise ConfigRefused(400, "invalid_request", f"rows must be 1 to {MAX_ROWS} price rows")
    seen: dict[tuple[PriceSlot, int | None], int] = {}
    shown = []
    for number, given in enumerate(command.rows):
        first = seen.setdefault((given.slot, given.effective_at), number)
        if first != number:
            raise ConfigRefused(400, "invalid_request", same_scope(number, first))
        try:
            shown.append(_set(number, given, command.actor, changes, now))
        except ConfigRefused as refusal:
            raise ConfigRefused(refusal.status, refusal.code, f"rows[{number}].{refusal.error}") from None
    changes.send_together()
    return response(shown, preview=False)


def _set(number: int, given: ListedPrice, actor: str, changes: PriceChanges, now: int) -> ListedChange:
    check_slot(given.slot)
    row = replace(given, rates=valid_rates(given.rates))
    if row.effective_at is not None:
        check_start(row.effective_at, now)
    change = change_of(row, changes.of_slot(row.slot), now)
    if change.change == "unchanged" and change.old is not None:
        changes.again(change.old)
        return listed(number, row, change, None)
    price = changes.set(row.slot, row.rates, actor, row.effective_at, replacing=True)
    return listed(number, row, change, price.id)
