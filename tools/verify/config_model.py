"""Model of the configuration commands' decisions: ids, prices in force, and the price records that every
shard must have received. Pure.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tools.verify.endpoint_model import EndpointModel
from tools.verify.price_model import Slot
from tools.verify.row_values import Row

CONFIG_KEY = b"_config"
RATES = {"base": "base_rate_cents", "token": "token_rate_cents", "bonus": "outcome_bonus_cents"}
MAX_RATE = 10**9

Install = dict[str, Any]


class Configuration:
    """Configuration shard's commands in order. ``complete``: the log still holds the first of them;
    otherwise ids are unknown and nothing is expected of configuration rows. ``home`` returns the partition
    of a customer."""

    def __init__(self, complete: bool, home: Callable[[str], int]) -> None:
        self._complete, self._home = complete, home
        self._endpoints = EndpointModel(home)
        self._seeded = False
        self._keys: dict[int, tuple[str, bool]] = {}
        self._customers: dict[str, dict[str, Any]] = {}
        self._prices: dict[int, Install] = {}
        self._active: dict[Slot, int] = {}
        self._installs: dict[int, Install] = {}

    def is_home(self, partition: int) -> bool:
        """True if configuration commands are decided in this partition."""
        return self._home(CONFIG_KEY.decode()) == partition

    def apply(self, command: Mapping[str, Any]) -> list[Row] | None:
        """Return the rows of a command, without address and time; None if they are unknown."""
        if not self._complete:
            return None
        if command["command"].startswith("webhook."):
            return self._endpoints.apply(command, self._home(CONFIG_KEY.decode()))
        rules: dict[str, Callable[[Mapping[str, Any]], list[Row]]] = {
            "genesis": self._genesis,
            "key.create": self._create_key,
            "key.revoke": self._revoke_key,
            "price.set": self._set_price,
            "price.delete": self._delete_price,
            "customer.update": self._update_customer,
            "customer.ensure": self._ensure_customer,
        }
        return rules[command["command"]](command)

    def check_install(self, command: Mapping[str, Any], partition: int, last: int) -> str:
        """Return what is wrong with a price record that a shard took after number ``last``; '' if nothing."""
        if not self._complete:
            return ""
        decided = self._installs.get(command["number"])
        taken = {"active": True, "customer_id": None, **command, "rates": _cents(command["rates"])}
        if decided is None or any(taken[name] != value for name, value in decided.items()):
            return f"price record {command['number']} is not what a configuration command decided"
        for number in range(last + 1, command["number"]):
            customer = self._installs[number]["customer_id"]
            if customer is None or self._home(customer) == partition:
                return f"price record {number} is missing before {command['number']}"
        return ""

    def _genesis(self, command: Mapping[str, Any]) -> list[Row]:
        if self._seeded:
            return []
        self._seeded = True
        rows = []
        for seed in command["prices"]:
            if (None, seed["action_type"]) not in self._active:
                rows.append(self._new_price(None, seed["action_type"], seed["rates"], "genesis"))
        return rows

    def _create_key(self, command: Mapping[str, Any]) -> list[Row]:
        customer = command["customer_id"]
        if customer != "*":
            if not _is_customer(customer):
                return [_refused(command)]
            known = self._customers.setdefault(customer, _customer())
            known["metered"] = False
            if known["name"] is None:
                known["name"] = command.get("customer_name")
        id = len(self._keys) + 1
        self._keys[id] = customer, True
        return [_changed("key.created", _actor(command), {"id": id, "customer_id": customer, "is_active": True})]

    def _revoke_key(self, command: Mapping[str, Any]) -> list[Row]:
        id = command["id"]
        if id not in self._keys:
            return [_refused(command)]
        customer, active = self._keys[id]
        self._keys[id] = customer, False
        detail = {"id": id, "customer_id": customer, "is_active": False}
        return [_changed("key.revoked", _actor(command), detail)] if active else []

    def _set_price(self, command: Mapping[str, Any]) -> list[Row]:
        customer, action = command.get("customer_id"), command["action_type"]
        if (customer is not None and not _is_customer(customer)) or not _is_name(action) or action == "outcome_charge":
            return [_refused(command)]
        if not all(0 <= rate <= MAX_RATE for rate in _cents(command["rates"]).values()):
            return [_refused(command)]
        return [self._new_price(customer, action, command["rates"], _actor(command))]

    def _delete_price(self, command: Mapping[str, Any]) -> list[Row]:
        price = self._prices.get(command["id"])
        if price is None:
            return [_refused(command)]
        slot = (price["customer_id"], price["action_type"])
        if self._active.get(slot) != price["id"]:
            return []
        del self._active[slot]
        return [self._install({**price, "active": False}, _actor(command))]

    def _update_customer(self, command: Mapping[str, Any]) -> list[Row]:
        known = self._customers.get(command["customer_id"])
        if known is None:
            return [_refused(command)]
        wanted = {k: command[k] for k in known if command.get(k) is not None} | {"metered": False}
        if all(known[k] == v for k, v in wanted.items()):
            return []
        known.update(wanted)
        return [_changed("customer.updated", _actor(command), {"customer_id": command["customer_id"]})]

    def _ensure_customer(self, command: Mapping[str, Any]) -> list[Row]:
        customer = command["customer_id"]
        if not _is_customer(customer):
            return [_refused(command)]
        if customer in self._customers:
            return []
        self._customers[customer] = {**_customer(), "metered": True}
        shown = {"customer_id": customer, "metered": True}
        return [_changed("customer.created", str(command.get("actor", "platform")), shown)]

    def _new_price(self, customer: str | None, action: str, rates: Mapping[str, str], actor: str) -> Row:
        price = {"id": len(self._prices) + 1, "customer_id": customer, "action_type": action, "rates": _cents(rates)}
        self._prices[len(self._prices) + 1] = price
        self._active[customer, action] = len(self._prices)
        return self._install({**price, "active": True}, actor)

    def _install(self, price: Install, actor: str) -> Row:
        self._installs[len(self._installs) + 1] = {**price, "number": len(self._installs) + 1}
        rates = {RATES[part]: rate for part, rate in price["rates"].items()}
        shown = {name: price[name] for name in ("id", "customer_id", "action_type")}
        return _changed("pricing.updated", actor, {**shown, **rates, "is_active": price["active"]})


def _customer() -> dict[str, Any]:
    return {"name": None, "external_ids": {}, "test": False, "metered": False}


def _cents(rates: Mapping[str, str]) -> dict[str, Decimal]:
    return {part: Decimal(rates[part]) for part in RATES}


def _changed(type: str, actor: str, detail: Mapping[str, Any]) -> Row:
    """Return a configuration row. ``detail`` holds the minimum that the row's detail must contain."""
    return {"kind": "config", "config_type": type, "actor": actor, "detail": dict(detail)}


def _refused(command: Mapping[str, Any]) -> Row:
    return {"kind": "rejected", "actor": _actor(command)}


def _actor(command: Mapping[str, Any]) -> str:
    return str(command.get("actor", "admin"))


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= 256 and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text)


def _is_customer(text: str) -> bool:
    return _is_name(text) and text != "*" and not text.startswith("_")
