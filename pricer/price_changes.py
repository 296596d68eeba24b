"""The prices of each slot on the configuration shard: set, scheduled, replaced and ended. Pure.

A slot has at most one price in force and any number scheduled, each with its own start. A scheduled price comes into
force without a command: every shard knows it beforehand and compares its start with the accepted time. What it has
replaced is recorded as ended by the next change of the slot.
"""

from itertools import pairwise

import msgspec
from msgspec.structs import replace

from pricer.config_transaction import ConfigRefused, ConfigTransaction, kept_at
from schemas import config, objects, state
from schemas.commands import InstallPrice, InstallPrices, Rates, ScheduledPrice
from schemas.commands import encode as encode_command
from schemas.limits import DAY
from schemas.price_match import PriceSlot
from schemas.price_schedule import MAX_SCHEDULED, by_start
from schemas.topics import PRICE_KEY, partition_of
from streams.types import OutgoingRecord

MAX_AHEAD = 10 * 366 * DAY
"""The longest time, in ms, for which a price may be scheduled."""

_decode = msgspec.json.Decoder(config.Price).decode
_decode_customer = msgspec.json.Decoder(config.Customer).decode


class PriceChanges:
    """The changes of prices that one configuration command makes."""

    def __init__(self, change: ConfigTransaction) -> None:
        self._change = change
        self._now = change.record.at
        self._installs: list[InstallPrice] = []

    def of_slot(self, slot: PriceSlot) -> list[config.Price]:
        """Return the prices of a slot that no command ended, by start."""
        ids = self._change.get(_active_key(slot))
        return [] if ids is None else [self._known(int(id)) for id in ids.split(b",")]

    def find(self, id: int) -> config.Price | None:
        """Return a price of any time."""
        stored = self._change.get(kept_at(config.price_key(id)))
        return None if stored is None else _decode(stored)

    def set(
        self, slot: PriceSlot, rates: Rates, actor: str, effective_at: int | None = None, replacing: bool = False
    ) -> config.Price:
        """Put a price into force, now or from a later accepted time on. ``replacing``: one that is scheduled for the
        same time ends. Raises ConfigRefused."""
        change, now = self._change, self._now
        ended, current, scheduled = self._phases(slot)
        if effective_at is not None:
            check_start(effective_at, now)
            same = next((price for price in scheduled if price.effective_at == effective_at), None)
            if same is not None and replacing:
                scheduled.remove(same)
                ended.append(replace(same, is_active=False, ended_at=now))
            elif same is not None:
                what = f"effective_at must differ from that of price {same.id} of the same scope; delete that first"
                raise ConfigRefused(409, "price_scheduled", what)
            if len(scheduled) == MAX_SCHEDULED:
                what = f"effective_at must be absent: the scope has {MAX_SCHEDULED} scheduled prices, the maximum"
                raise ConfigRefused(409, "price_scheduled", what)
        change.count(price=change.counters.price + 1)
        price = config.Price(
            id=change.counters.price,
            number=change.counters.number + 1,
            action_type=slot.action,
            rates=rates,
            created_at=now,
            customer_id=slot.customer_id,
            model=slot.model,
            provider=slot.provider,
            effective_at=effective_at,
        )
        if effective_at is None:
            if current is not None:
                ended.append(replace(current, is_active=False, ended_at=now))
            current = price
        else:
            scheduled = sorted([*scheduled, price], key=by_start)
        self._install([price for price in (current, *scheduled) if price is not None])
        # The new one first: no gateway may see the action without a price in between.
        self._put(price)
        for one in ended:
            self._put(one)
        change.enter("pricing.updated", actor, objects.price_object(price))
        return price

    def end(self, price: config.Price, actor: str) -> None:
        """End a price, in force or scheduled. One that has ended is only written again, so that the reply to a repeat
        also waits for the gateway's view."""
        slot, now = price.slot, self._now
        ended, current, scheduled = self._phases(slot) if price.is_active else ([], None, [])
        left = [one for one in (current, *scheduled) if one is not None and one.id != price.id]
        over = next((one for one in ended if one.id == price.id), None)
        if not price.is_active or over is not None:
            self._put(over or price)
            return
        past = replace(price, is_active=False, ended_at=now)
        self._install(left, past)
        for one in (*ended, past):
            self._put(one)
        self._change.enter("pricing.updated", actor, objects.price_object(past))

    def again(self, price: config.Price) -> None:
        """Write a price again that stays as it is, so that the reply waits for the gateway's view of it."""
        self._put(price)

    def send(self) -> None:
        """Send each change to the shards that use it, as a record of its own."""
        for command in self._installs:
            where = self._shard_of(command)
            self._change.outgoing.append(
                OutgoingRecord(None if where is None else (where,), PRICE_KEY, encode_command(command))
            )

    def send_together(self) -> None:
        """Send all changes that a shard uses as one record, so that no event finds only some of them."""
        shards = [self._shard_of(command) for command in self._installs]
        for partition in range(self._change.partitions):
            own = [one for one, shard in zip(self._installs, shards, strict=True) if shard in (None, partition)]
            if own:
                value = encode_command(InstallPrices(own))
                self._change.outgoing.append(OutgoingRecord((partition,), PRICE_KEY, value))

    def _shard_of(self, command: InstallPrice) -> int | None:
        """Return the partition that uses a price; None is all."""
        customer = command.customer_id
        return None if customer is None else partition_of(customer.encode(), self._change.partitions)

    def _phases(self, slot: PriceSlot) -> tuple[list[config.Price], config.Price | None, list[config.Price]]:
        """Return the prices of a slot that another one has replaced since, the one in force, and the scheduled ones."""
        versions, now = self.of_slot(slot), self._now
        started = [price for price in versions if price.effective_at is None or price.effective_at <= now]
        ended = [replace(price, is_active=False, ended_at=follower.start) for price, follower in pairwise(started)]
        return ended, started[-1] if started else None, versions[len(started) :]

    def _install(self, versions: list[config.Price], past: config.Price | None = None) -> None:
        """Number the change of a slot, to be sent to the shards that use it. ``past``: the price that it ends."""
        change = self._change
        first, *others = versions or ([] if past is None else [past])
        change.count(number=change.counters.number + 1)
        command = InstallPrice(
            number=change.counters.number,
            id=first.id,
            action_type=first.action_type,
            rates=first.rates,
            customer_id=first.customer_id,
            active=first.is_active,
            model=first.model,
            provider=first.provider,
            effective_at=first.effective_at if first.is_active and first.start > self._now else None,
            later=tuple(ScheduledPrice(one.id, one.rates, one.start) for one in others),
            test=self._is_test(first.customer_id),
        )
        self._installs.append(command)
        change.put(_active_key(first.slot), b",".join(b"%d" % one.id for one in versions) or None)

    def _is_test(self, customer_id: str | None) -> bool:
        """True if a customer is flagged test."""
        stored = None if customer_id is None else self._change.get(kept_at(config.customer_key(customer_id)))
        return stored is not None and _decode_customer(stored).test

    def _known(self, id: int) -> config.Price:
        price = self.find(id)
        if price is None:
            raise LookupError(f"price {id} is in force but not in the state")
        return price

    def _put(self, price: config.Price) -> None:
        self._change.put_viewed(config.price_key(price.id), config.encode(price))


def check_start(effective_at: int, now: int) -> None:
    """Raise ConfigRefused unless a price may be scheduled for this accepted time."""
    if effective_at <= now:
        raise ConfigRefused(400, "invalid_request", "effective_at must be in the future")
    if effective_at > now + MAX_AHEAD:
        what = f"effective_at must be at most {MAX_AHEAD // DAY} days in the future"
        raise ConfigRefused(400, "invalid_request", what)


def _active_key(slot: PriceSlot) -> bytes:
    return b"config/active/" + state.price_key(slot)
