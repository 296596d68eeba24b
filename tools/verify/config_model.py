"""Model of the configuration commands' decisions: ids, prices in force, and the price records that every
shard must have received. Pure.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from schemas.limits import DAY
from tools.verify.endpoint_model import EndpointModel
from tools.verify.month_model import are_terms
from tools.verify.price_model import Slot, rated, slot_of, terms_in
from tools.verify.row_values import Row, iso
from tools.verify.tier_model import are_steps, tiered

CONFIG_KEY = b"_config"
RATES = {"base": "base_rate_cents", "token": "token_rate_cents", "bonus": "outcome_bonus_cents"}
MAX_RATE = 10**9
MAX_NAMES = 64
MAX_AHEAD = 10 * 366 * DAY
MAX_SCHEDULED = 24
MAX_ROWS = 1000
RESERVED = ("event", "tokens", "success")

Install = dict[str, Any]


class Configuration:
    """Configuration shard's commands in order. ``complete``: the log still holds the first of them;
    otherwise ids are unknown and nothing is expected of configuration rows. ``home`` returns the partition
    of a customer."""

    def __init__(self, complete: bool, home: Callable[[str], int]) -> None:
        self._complete, self._home = complete, home
        self._endpoints = EndpointModel(home)
        self._seeded = False
        self._at = 0
        self._keys: dict[int, tuple[str, bool]] = {}
        self._customers: dict[str, dict[str, Any]] = {}
        self._prices: dict[int, Install] = {}
        self._plans: dict[Slot, list[tuple[int, int]]] = {}
        """For each slot: the ids of the prices that hold now or later, with their starts, in order."""
        self._installs: dict[int, Install] = {}

    def is_home(self, partition: int) -> bool:
        """True if configuration commands are decided in this partition."""
        return self._home(CONFIG_KEY.decode()) == partition

    def apply(self, command: Mapping[str, Any], at: int) -> list[Row] | None:
        """Return the rows of a command accepted ``at`` (ms), without address and time; None if they are unknown."""
        self._at = at
        if not self._complete:
            return None
        if command["command"].startswith("webhook."):
            return self._endpoints.apply(command, self._home(CONFIG_KEY.decode()))
        rules: dict[str, Callable[[Mapping[str, Any]], list[Row]]] = {
            "genesis": self._genesis,
            "key.create": self._create_key,
            "key.revoke": self._revoke_key,
            "price.set": self._set_price,
            "price.list": self._set_prices,
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
        absent: Install = {"active": True, "effective_at": None}
        if "test" not in command and decided is not None:
            absent["test"] = decided["test"]  # older logs do not say it
        later = [_following(one) for one in command.get("later", ())]
        taken = {**absent, **command, **_slot(command), "rates": _cents(command["rates"]), "later": later}
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
            if slot_of(seed) not in self._plans:
                rows.append(self._new_price(seed, "genesis"))
        return rows

    def _create_key(self, command: Mapping[str, Any]) -> list[Row]:
        customer, signup = command["customer_id"], command.get("signup")
        if signup and (customer == "*" or customer in self._customers):
            return [_refused(command)]
        if customer != "*":
            if not _is_customer(customer):
                return [_refused(command)]
            known = self._customers.setdefault(customer, _customer())
            known["metered"] = False
            if known["name"] is None:
                known["name"] = command.get("customer_name")
        id = len(self._keys) + 1
        self._keys[id] = customer, True
        made = _changed("key.created", _actor(command), {"id": id, "customer_id": customer, "is_active": True})
        return (
            [made, _changed("signup.created", _actor(command), {**signup, "customer_id": customer})]
            if signup
            else [made]
        )

    def _revoke_key(self, command: Mapping[str, Any]) -> list[Row]:
        id = command["id"]
        if id not in self._keys:
            return [_refused(command)]
        customer, active = self._keys[id]
        self._keys[id] = customer, False
        detail = {"id": id, "customer_id": customer, "is_active": False}
        return [_changed("key.revoked", _actor(command), detail)] if active else []

    def _set_price(self, command: Mapping[str, Any]) -> list[Row]:
        scheduled = [start for _, start in self._plan(slot_of(command)) if start > self._at]
        if not self._is_price(command) or not self._fits(command, scheduled):
            return [_refused(command)]
        return [self._new_price(command, _actor(command))]

    def _set_prices(self, command: Mapping[str, Any]) -> list[Row]:
        rows = command["rows"]
        starts: dict[Slot, list[int]] = {}
        valid = 1 <= len(rows) <= MAX_ROWS
        scopes = {(slot_of(row), row.get("effective_at")) for row in rows}
        for row in rows:
            plan = [start for _, start in self._plan(slot_of(row)) if start > self._at]
            known = starts.setdefault(slot_of(row), plan)
            valid = valid and self._is_price(row) and (row.get("effective_at") in known or self._fits(row, known))
            known += [row["effective_at"]] if row.get("effective_at") not in (None, *known) else []
        if not valid or len(scopes) < len(rows):
            return [_refused(command)]
        return [self._new_price(row, _actor(command)) for row in rows if not self._holds(row)]

    def _is_price(self, row: Mapping[str, Any]) -> bool:
        """True if the scope and the rates of a row are valid."""
        customer, action, model, provider = slot_of(row)
        if customer is not None and not _is_customer(customer):
            return False
        if action == "outcome_charge" or not all(_is_name(name) for name in (action, model or "-", provider or "-")):
            return False
        return _is_rates(row["rates"])

    def _fits(self, row: Mapping[str, Any], scheduled: list[int]) -> bool:
        """True if a row may start when it says, beside the starts that its slot has."""
        start = row.get("effective_at")
        if start is None:
            return True
        return self._at < start <= self._at + MAX_AHEAD and start not in scheduled and len(scheduled) < MAX_SCHEDULED

    def _holds(self, row: Mapping[str, Any]) -> bool:
        """True if a row says what its slot has already, now or from its start on."""
        start = row.get("effective_at")
        plan = self._plan(slot_of(row))
        same = [id for id, begins in plan if (begins <= self._at if start is None else begins == start)]
        return any(self._prices[id]["rates"] == _cents(row["rates"]) for id in same)

    def _delete_price(self, command: Mapping[str, Any]) -> list[Row]:
        price = self._prices.get(command["id"])
        if price is None:
            return [_refused(command)]
        slot = slot_of(price)
        plan = [held for held in self._plan(slot) if held[0] != price["id"]]
        if len(plan) == len(self._plan(slot)):
            return []
        return [self._install(slot, plan, {**price, "active": False}, _actor(command))]

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

    def _new_price(self, command: Mapping[str, Any], actor: str) -> Row:
        id, slot, start = len(self._prices) + 1, slot_of(command), command.get("effective_at")
        price = {"id": id, **_slot(command), "rates": _cents(command["rates"]), "effective_at": start}
        self._prices[id] = price
        plan = self._plan(slot)
        if start is None:
            plan = [(id, 0), *(held for held in plan if held[1] > self._at)]
        else:
            plan = sorted([*(held for held in plan if held[1] != start), (id, start)], key=lambda held: held[1])
        return self._install(slot, plan, {**price, "active": True}, actor)

    def _plan(self, slot: Slot) -> list[tuple[int, int]]:
        """Return what holds now, if anything, and what is scheduled."""
        plan = self._plans.get(slot, [])
        started = [held for held in plan if held[1] <= self._at]
        return started[-1:] + plan[len(started) :]

    def _install(self, slot: Slot, plan: list[tuple[int, int]], price: Install, actor: str) -> Row:
        """Record what the shards must be told of a slot, and return the row of the price that was changed."""
        number = len(self._installs) + 1
        first, *others = [self._prices[id] for id, _ in plan] or [price]
        told = {**first, "active": bool(plan), "number": number, "later": [_following(one) for one in others]}
        if not plan or plan[0][1] <= self._at:
            told["effective_at"] = None
        told["test"] = self._customers.get(slot[0] or "", _customer())["test"]
        self._installs[number] = told
        self._plans[slot] = plan
        if not plan:
            del self._plans[slot]
        rates = {shown: price["rates"][part] for part, shown in RATES.items()}
        named = {name: value for name, value in _slot(price).items() if value is not None or name == "customer_id"}
        dated = {} if price["effective_at"] is None else {"effective_at": iso(price["effective_at"])}
        detail = {"id": price["id"], **named, **rates, "is_active": price["active"], **dated}
        return _changed("pricing.updated", actor, detail)


def _following(price: Mapping[str, Any]) -> Install:
    """Return what a price record tells of a scheduled price after its first one."""
    return {"id": price["id"], "rates": _cents(price["rates"]), "effective_at": price["effective_at"]}


def _customer() -> dict[str, Any]:
    return {"name": None, "external_ids": {}, "test": False, "metered": False, "on_empty": "charge"}


def _slot(command: Mapping[str, Any]) -> dict[str, Any]:
    return {name: command.get(name) for name in ("customer_id", "action_type", "model", "provider")}


def _cents(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rates of a command, or what this function returned for them."""
    if "names" in rates:
        return dict(rates)
    named = {name: (rate, per) for name, rate, per in rated(rates)}
    parts = {part: Decimal(rates[part]) for part in RATES}
    terms = terms_in(rates)
    return {**parts, "names": named, "terms": terms, "ignore_unknown": rates.get("ignore_unknown", False)}


def _is_rates(rates: Mapping[str, Any]) -> bool:
    """True if the amounts are within bounds and exact, and each quantity that may have a rate has one."""
    quantities = rated(rates)
    names = [name for name, _, _ in quantities]
    tiers = tiered(rates)
    if len(names) + len(tiers) > MAX_NAMES or not are_steps(tiers, names, Decimal(rates["base"])):
        return False
    if not are_terms(rates, set(names), tiers):
        return False
    if len(set(names)) < len(names) or any(name in RESERVED for name in names):
        return False
    if not all(re.fullmatch("[a-z0-9_.]{1,64}", name) and 1 <= per <= 10**9 for name, _, per in quantities):
        return False
    if any(rate.scaleb(12) % per for _, rate, per in quantities):
        return False
    return all(
        0 <= rate <= MAX_RATE for rate in (*(Decimal(rates[part]) for part in RATES), *(q[1] for q in quantities))
    )


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
