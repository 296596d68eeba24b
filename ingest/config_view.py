"""The gateway's view of rev.config: keys, customers, prices and webhooks, typed.

A follower of the topic feeds it record by record (ConfigView.apply); readers use plain
dictionaries. It decides no charge: the pricer does. It does no I/O.
"""

from collections.abc import Iterable

import msgspec

from ingest.lookalikes import skeleton
from schemas.commands import OnEmpty
from schemas.config import EPOCH, ApiKey, Customer, Price, Webhook
from schemas.price_match import PriceSlot, candidates

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
        self._active: dict[PriceSlot, Price] = {}
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
        if value is not None:
            self.prices[id] = price = _price(value)
            row = price.slot
            held = self._active.get(row)
            if price.is_active:
                if held is None or held.number <= price.number:
                    self._active[row] = price
            elif held is not None and held.id == id:
                del self._active[row]
        elif before is not None:
            row = before.slot
            if row in self._active and self._active[row].id == id:
                del self._active[row]

    def price_for(
        self, customer_id: str, action: str, model: str | None = None, provider: str | None = None
    ) -> Price | None:
        """Return the price in force for an event, or None when there is none."""
        active = self._active
        for slot in candidates(customer_id, action, model, provider):
            price = active.get(slot)
            if price is not None:
                return price
        return None

    def prices_of(self, customer_id: str) -> list[tuple[PriceSlot, Price]]:
        """Return the price in force for every action, model and provider that a row of the customer or of everyone
        names, sorted."""
        named = {slot[1:] for slot in self._active if slot.customer_id is None or slot.customer_id == customer_id}
        found = []
        for action, model, provider in sorted(named, key=lambda one: tuple(part or "" for part in one)):
            price = self.price_for(customer_id, action, model, provider)
            if price is not None:
                found.append((PriceSlot(customer_id, action, model, provider), price))
        return found

    def active_prices(self) -> Iterable[Price]:
        return self._active.values()

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
