"""InstallPrice on any shard: from this record of its log on, the shard uses the price.

Price records are numbered by the configuration shard and may arrive more than once. A shard takes each number once and
in order, so its log alone determines what every event cost. A scheduled price is installed ahead of its start; then
the accepted time of an event tells which price of the slot applies.
"""

from msgspec.structs import replace

from pricer import month_minimums
from schemas import state
from schemas.commands import InstallPrice, InstallPrices, Rates
from schemas.price_match import PriceSlot
from streams.overlay import Overlay
from streams.types import Decision, InputRecord, StateView


def apply(command: InstallPrice | InstallPrices, record: InputRecord, shard: StateView) -> Decision:
    """Install or remove the prices of a slot; ignore the record unless its number is above the shard's last. The
    records of a price list are for different slots, or of one slot in order."""
    if isinstance(command, InstallPrice):
        return _apply(command, record, shard)
    seen = Overlay(shard)
    for one in command.prices:
        seen.apply(_apply(one, record, seen))
    return Decision(changes=tuple(seen.changes.items()))


def _apply(command: InstallPrice, record: InputRecord, shard: StateView) -> Decision:
    last = shard.get(state.PRICE_NUMBER)
    if last is not None and command.number <= int(last):
        return Decision()
    slot = PriceSlot(command.customer_id, command.action_type, command.model, command.provider)
    key = state.price_key(slot)
    before = shard.get(key)
    after = _installed(command, record, before)
    changes: tuple[tuple[bytes, bytes | None], ...]
    changes = ((state.PRICE_NUMBER, b"%d" % command.number), (key, after))
    if command.customer_id is not None:
        changes += month_minimums.opened(slot, before, after, record.at, shard)
    if not slot.scoped:
        return Decision(changes=changes)
    marks = state.with_mark(shard.get(state.PRICE_SCOPED), state.SCOPED)
    return Decision(changes=(*changes, (state.PRICE_SCOPED, marks)))


def _installed(command: InstallPrice, record: InputRecord, before: bytes | None) -> bytes | None:
    """Return the value of the slot's key. A price that the slot had before keeps the address of its own record."""
    if not command.active:
        return None
    offsets: dict[int, int] = {}
    if before is not None:
        held = state.decode_price(before)
        offsets = {one.id: one.offset for one in (held, *held.later)}

    def price(id: int, rates: Rates, effective_at: int | None) -> state.InstalledPrice:
        return state.InstalledPrice(
            id=id,
            action_type=command.action_type,
            rates=rates,
            offset=offsets.get(id, record.offset),
            is_default=command.customer_id is None,
            model=command.model,
            provider=command.provider,
            effective_at=effective_at,
        )

    later = tuple(price(one.id, one.rates, one.effective_at) for one in command.later)
    first = price(command.id, command.rates, command.effective_at)
    return state.encode(replace(first, later=later, test=command.test))
