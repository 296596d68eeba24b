"""The gateway's view of rev.config: keys, customers, prices and webhooks, typed.

A follower of the topic feeds it record by record (ConfigView.apply); readers use plain
dictionaries. It decides no charge: the pricer does. It does no I/O.
"""

from collections.abc import Iterable

import msgspec

from ingest.lookalikes import skeleton
from schemas.commands import OnEmpty
from schemas.config import EPOCH, ApiKey, Customer, Price, Webhook
from schemas.limits import MINUTE
from schemas.price_match import PriceSlot, candidates
from schemas.price_schedule import by_start, in_force

CLOCKS_APART = 5 * MINUTE
"""The most by which a gateway's clock and the broker's are expected to differ, ms."""

_key = msgspec.json.Decoder(ApiKey).decode
_customer = msgspec.json.Decoder(Customer).decode
_price = msgspec.json.Decoder(Price).decode
_webhook = msgspec.json.Decoder(Webhook).decode


class ConfigView:
    """Keys by hash, customers, prices, webhooks. Ids are integers, times ms UTC."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.keys: dict[int, ApiKey] = {}
        self.keys_by_hash: dict[str, ApiKey] = {}
        self.customers: dict[str, Customer] = {}
        self.prices: dict[int, Price] = {}
        self.webhooks: dict[int, Webhook] = {}
        self._active: dict[PriceSlot, tuple[Price, ...]] = {}
        """The prices that no command has ended, by start."""
        self._alike: dict[str, dict[str, None]] = {}
        """Customers by the skeleton that look-alike ids share, in the order in which they were added."""

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Apply one record of rev.config; None is a tombstone.

        Raises msgspec.DecodeError or ValueError for a record that cannot be decoded.
        """
        kind, _, id = key.partition(b"/")
        if key == EPOCH:
            self.epoch = None if value is None else msgspec.json.decode(value, type=dict[str, str]).get("epoch")
        elif kind == b"key":
            self._apply_key(int(id), value)
        elif kind == b"customer":
            self._apply_customer(id.decode(), value)
        elif kind == b"price":
            self._apply_price(int(id), value)
        elif kind == b"webhook":
            if value is None:
                self.webhooks.pop(int(id), None)
            else:
                self.webhooks[int(id)] = _webhook(value)
        # other kinds belong to later versions of the log; a rolling update may meet them

    def _apply_key(self, id: int, value: bytes | None) -> None:
        before = self.keys.pop(id, None)
        if before is not None:
            self.keys_by_hash.pop(before.hash, None)
        if value is not None:
            key = _key(value)
            self.keys[id] = key
            self.keys_by_hash[key.hash] = key

    def _apply_customer(self, id: str, value: bytes | None) -> None:
        if value is None:
            self.customers.pop(id, None)
            self._alike.get(skeleton(id), {}).pop(id, None)
        else:
            self.customers[id] = _customer(value)
            self._alike.setdefault(skeleton(id), {})[id] = None

    def _apply_price(self, id: int, value: bytes | None) -> None:
        before = self.prices.pop(id, None)
        if before is not None and before.is_active:
            self._replace(before.slot, id, ())
        if value is not None:
            self.prices[id] = price = _price(value)
            if price.is_active:
                self._replace(price.slot, id, (price,))

    def _replace(self, slot: PriceSlot, id: int, by: tuple[Price, ...]) -> None:
        others = tuple(price for price in self._active.pop(slot, ()) if price.id != id)
        if others or by:
            self._active[slot] = tuple(sorted((*others, *by), key=by_start))

    def versions(self, slot: PriceSlot) -> tuple[Price, ...]:
        """Return the prices of a slot that no command has ended, by start."""
        return self._active.get(slot, ())

    def price_for(
        self, at: int, customer_id: str, action: str, model: str | None = None, provider: str | None = None
    ) -> Price | None:
        """Return the price in force for an event at an accepted time, or None when there is none."""
        active = self._active
        for slot in candidates(customer_id, action, model, provider):
            price = in_force(active.get(slot, ()), at)
            if price is not None:
                return price
        return None

    def prices_about(
        self, at: int, customer_id: str, action: str, model: str | None = None, provider: str | None = None
    ) -> list[Price]:
        """Return every price that the shard may use for an event that is sent at a time of this gateway's clock.
        There are several only about the start of a scheduled one, which is up to the accepted time."""
        found: list[Price] = []
        for slot in candidates(customer_id, action, model, provider):
            versions = self._active.get(slot, ())
            certain = in_force(versions, at - CLOCKS_APART)
            found += [one for one in versions if one is certain or abs(one.start - at) <= CLOCKS_APART]
            if certain is not None:
                break
        return found

    def prices_of(self, customer_id: str, at: int) -> list[tuple[PriceSlot, Price]]:
        """Return the price in force for every action, model and provider that a row of the customer or of everyone
        names, sorted."""
        named = {slot[1:] for slot in self._active if slot.customer_id is None or slot.customer_id == customer_id}
        found = []
        for action, model, provider in sorted(named, key=lambda one: tuple(part or "" for part in one)):
            price = self.price_for(at, customer_id, action, model, provider)
            if price is not None:
                found.append((PriceSlot(customer_id, action, model, provider), price))
        return found

    def scheduled_for(self, customer_id: str, at: int) -> list[Price]:
        """Return the scheduled prices of the customer and of everyone that will apply to the customer, by start."""
        found = [
            price
            for slot, versions in self._active.items()
            if slot.customer_id in (None, customer_id)
            for price in versions
            if price.start > at and self.price_for(price.start, customer_id, *slot[1:]) is price
        ]
        return sorted(found, key=by_start)

    def active_prices(self, at: int) -> Iterable[Price]:
        """Return the prices in force, and the scheduled ones."""
        return (price for price in self.known_prices(at) if price.is_active)

    def known_prices(self, at: int) -> Iterable[Price]:
        """Return all prices, also the past ones. One that a scheduled price has replaced has ended at its start."""
        for id, price in self.prices.items():
            versions = self._active.get(price.slot, ()) if price.is_active else ()
            follower = next((one for one in reversed(versions) if one.start <= at), price)
            if by_start(follower) > by_start(price):
                after = versions[[one.id for one in versions].index(id) + 1]
                yield msgspec.structs.replace(price, is_active=False, ended_at=after.start)
            else:
                yield price

    def alike(self, customer_id: str) -> list[str]:
        """Return the other customers whose ids look like this one."""
        return [other for other in self._alike.get(skeleton(customer_id), ()) if other != customer_id]

    def on_empty(self, customer_id: str) -> OnEmpty:
        """Return what happens to an event of this customer that prepaid credit does not cover."""
        customer = self.customers.get(customer_id)
        return "charge" if customer is None else customer.on_empty

    def is_test(self, customer_id: str) -> bool:
        """True if the customer's events are kept out of the totals."""
        customer = self.customers.get(customer_id)
        return customer is not None and customer.test
