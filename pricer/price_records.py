"""InstallPrice on any shard: from this record of its log on, the shard uses the price.

Price records are numbered by the configuration shard and may arrive more than once. A shard takes each number once and
in order, so its log alone determines what every event cost.
"""

from schemas import state
from schemas.commands import InstallPrice
from schemas.price_match import PriceSlot
from streams.types import Decision, InputRecord, StateView


def apply(command: InstallPrice, record: InputRecord, shard: StateView) -> Decision:
    """Install or remove a price; ignore it unless its number is above the shard's last."""
    last = shard.get(state.PRICE_NUMBER)
    if last is not None and command.number <= int(last):
        return Decision()
    slot = PriceSlot(command.customer_id, command.action_type, command.model, command.provider)
    value: bytes | None = None
    if command.active:
        value = state.encode(
            state.InstalledPrice(
                command.id,
                command.action_type,
                command.rates,
                record.offset,
                is_default=command.customer_id is None,
                model=command.model,
                provider=command.provider,
            )
        )
    changes = ((state.PRICE_NUMBER, b"%d" % command.number), (state.price_key(slot), value))
    if not slot.scoped:
        return Decision(changes=changes)
    marks = state.with_mark(shard.get(state.PRICE_SCOPED), state.SCOPED)
    return Decision(changes=(*changes, (state.PRICE_SCOPED, marks)))
