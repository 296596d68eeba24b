"""What the gateway knows of keys, customers, prices and webhooks: a typed view of rev.config.

Fed record by record (ConfigView.apply) by a follower of the topic; reading is by plain
dictionaries. It decides nothing that is charged: that is the pricer's. No I/O may come in.
"""

from collections.abc import Iterable

import msgspec

from ingest.lookalikes import skeleton
from schemas.config import EPOCH, ApiKey, Customer, Price, Webhook

ANY = "*"
"""The action of a price row that holds for every action without a row of its own."""

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
        self._active: dict[tuple[str | None, str], Price] = {}
        self._alike: dict[str, dict[str, None]] = {}
        """Customers by what those that look alike have in common, in the order in which they came."""

    def apply(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Take one record of rev.config; None is a tombstone. Raises msgspec.DecodeError or
        ValueError for a record that cannot be understood."""
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
            row = (price.customer_id, price.action_type)
            held = self._active.get(row)
            if price.is_active:
                if held is None or held.number <= price.number:
                    self._active[row] = price
            elif held is not None and held.id == id:
                del self._active[row]
        elif before is not None:
            row = (before.customer_id, before.action_type)
            if row in self._active and self._active[row].id == id:
                del self._active[row]

    def price_for(self, customer_id: str, action: str) -> Price | None:
        """The row in force for an action: customer+action, customer+``*``, default+action,
        default+``*``; None when there is none."""
        active = self._active
        return (
            active.get((customer_id, action))
            or active.get((customer_id, ANY))
            or active.get((None, action))
            or active.get((None, ANY))
        )

    def actions_of(self, customer_id: str) -> list[str]:
        """Every action that has a row in force for the customer or for everyone, sorted."""
        return sorted({action for customer, action in self._active if customer is None or customer == customer_id})

    def active_prices(self) -> Iterable[Price]:
        return self._active.values()

    def alike(self, customer_id: str) -> list[str]:
        """The other customers whose ids a person takes for this one."""
        return [other for other in self._alike.get(skeleton(customer_id), ()) if other != customer_id]

    def is_test(self, customer_id: str) -> bool:
        """Whether the customer's events are kept out of the totals."""
        customer = self.customers.get(customer_id)
        return customer is not None and customer.test
