"""Configuration commands for keys, prices and customers, decided by the configuration shard.

Only this shard allocates ids. A change is one Decision: the shard's state, the view records for the gateways, one
config entry for the ledger, and for a price the numbered InstallPrice that every shard (for an override, the
customer's) takes from its own log. Pure. No secret may come in.
"""

from functools import singledispatchmethod

import msgspec

from pricer import prices, webhooks
from pricer.config_transaction import ConfigRefused, ConfigTransaction, kept_at, refused
from schemas import config, objects, state
from schemas.commands import (
    ChangeWebhook,
    Configure,
    CreateKey,
    DeletePrice,
    EnsureCustomer,
    Genesis,
    InstallPrice,
    Rates,
    RevokeKey,
    SetPrice,
    UpdateCustomer,
)
from schemas.commands import encode as encode_command
from schemas.limits import MAX_NAME
from schemas.money import MoneyError
from schemas.price_match import PriceSlot
from schemas.topics import PRICE_KEY, partition_of
from streams.types import Decision, InputRecord, OutgoingRecord, StateView

PLATFORM = "*"
"""Customer of a key that may act for every customer."""
GENESIS = b"config/genesis"
SEEDED = msgspec.Raw(b'{"success":true}')

_decode_key = msgspec.json.Decoder(config.ApiKey).decode
_decode_price = msgspec.json.Decoder(config.Price).decode
_decode_customer = msgspec.json.Decoder(config.Customer).decode


def apply(command: Configure, record: InputRecord, shard: StateView, partitions: int) -> Decision:
    """Decide one configuration command. ``partitions`` is the number of shards."""
    change: ConfigTransaction
    try:
        if isinstance(command, ChangeWebhook):
            change = webhooks.WebhookChange(record, shard, partitions)
            change.make(command)
        else:
            change = ConfigChange(record, shard, partitions)
            change.make(command)
    except ConfigRefused as refusal:
        return refused(command, record, refusal)
    return change.decision()


class ConfigChange(ConfigTransaction):
    """A change of keys, prices or customers."""

    @singledispatchmethod
    def make(self, command: Configure) -> None:
        """Compute the change. Raises ConfigRefused."""
        raise TypeError(f"no configuration command: {command!r}")

    @make.register
    def _(self, command: Genesis) -> None:
        """Set the default prices of a new log, once. An action that already has one keeps it."""
        self.result = SEEDED
        if self.get(GENESIS) is not None:
            self.status = 200
            return
        self.changes[GENESIS] = command.epoch.encode()
        for seed in command.prices:
            slot = PriceSlot(None, seed.action_type)
            if self._active(slot) is None:
                self._set_price(slot, _rates(seed.rates), "genesis")

    @make.register
    def _(self, command: CreateKey) -> None:
        customer_id, name = command.customer_id, command.customer_name
        signed_up: msgspec.Raw | None = None
        if customer_id == PLATFORM and command.signup is not None:
            raise ConfigRefused(400, "invalid_request", f"customer id {customer_id!r} is reserved")
        if customer_id != PLATFORM:
            _check_customer(customer_id)
            customer = self._customer(customer_id)
            if customer is None:
                new = config.Customer(customer_id, self.record.at, name)
                self._put_customer(new)
                signed_up = objects.signup_object(command.signup, new) if command.signup is not None else None
            elif command.signup is not None:
                # a stranger must not get a key of a customer that is already there
                raise ConfigRefused(409, "customer_exists", f"customer {customer_id!r} exists already")
            else:
                kept = name if customer.name is None else customer.name
                after = msgspec.structs.replace(customer, name=kept, metered=False)
                if after != customer:
                    self._put_customer(after)
                name = kept if name is None else name
        self.count(key=self.counters.key + 1)
        key = config.ApiKey(
            id=self.counters.key,
            customer_id=customer_id,
            hash=command.hash,
            mask=command.mask,
            created_at=self.record.at,
            customer_name=name,
            test=command.test,
        )
        self._put_key(key)
        self.result = objects.key_object(key)
        self.enter("key.created", command.actor, self.result)
        if signed_up is not None:
            self.enter("signup.created", command.actor, signed_up)

    @make.register
    def _(self, command: RevokeKey) -> None:
        stored = self.get(kept_at(config.key_key(command.id)))
        if stored is None:
            raise ConfigRefused(404, "not_found", f"no API key {command.id}")
        key = _decode_key(stored)
        self.result, self.status = objects.SUCCESS, 200
        if key.is_active:
            key = msgspec.structs.replace(key, is_active=False)
            self.enter("key.revoked", command.actor, objects.key_object(key))
        # Written again on a repeat too, so that its reply also waits for the gateway's view.
        self._put_key(key)

    @make.register
    def _(self, command: SetPrice) -> None:
        if command.customer_id is not None:
            _check_customer(command.customer_id)
        slot = PriceSlot(command.customer_id, command.action_type, command.model, command.provider)
        for field, name in (("action_type", slot.action), ("model", slot.model), ("provider", slot.provider)):
            if name is not None:
                _check_name(field, name)
        if command.action_type == prices.CHARGE_ACTION:
            raise ConfigRefused(400, "invalid_request", f"action {prices.CHARGE_ACTION!r} is reserved")
        price = self._set_price(slot, _rates(command.rates), command.actor)
        self.result = objects.price_object(price)

    @make.register
    def _(self, command: DeletePrice) -> None:
        stored = self.get(kept_at(config.price_key(command.id)))
        if stored is None:
            raise ConfigRefused(404, "not_found", f"no price {command.id}")
        price = _decode_price(stored)
        self.result, self.status = objects.deleted(command.id), 200
        if price.is_active:
            self.put(_active_key(price.slot), None)
            price = msgspec.structs.replace(price, is_active=False, ended_at=self.record.at)
            self._install(price)
            self.enter("pricing.updated", command.actor, objects.price_object(price))
        # Written again on a repeat too, so that its reply also waits for the gateway's view.
        self._put_price(price)

    @make.register
    def _(self, command: UpdateCustomer) -> None:
        before = self._customer(command.customer_id)
        if before is None:
            raise ConfigRefused(404, "not_found", f"no customer {command.customer_id!r}")
        after = config.Customer(
            before.customer_id,
            before.created_at,
            before.name if command.name is None else command.name,
            before.external_ids if command.external_ids is None else command.external_ids,
            before.test if command.test is None else command.test,
            metered=False,
            on_empty=before.on_empty if command.on_empty is None else command.on_empty,
        )
        self.result, self.status = objects.customer_object(after), 200
        if after != before:
            self.enter("customer.updated", command.actor, self.result)
        self._put_customer(after)

    @make.register
    def _(self, command: EnsureCustomer) -> None:
        """Create a customer; an existing one is left unchanged."""
        _check_customer(command.customer_id)
        customer = self._customer(command.customer_id)
        if customer is None:
            customer = config.Customer(command.customer_id, self.record.at, metered=True)
            self.result = objects.customer_object(customer)
            self.enter("customer.created", command.actor, self.result)
        else:
            self.result, self.status = objects.customer_object(customer), 200
        self._put_customer(customer)

    def _set_price(self, slot: PriceSlot, rates: Rates, actor: str) -> config.Price:
        """Put a new price into force and end the previous one of the same slot."""
        before = self._active(slot)
        self.count(price=self.counters.price + 1)
        price = self._install(
            config.Price(
                id=self.counters.price,
                number=0,
                action_type=slot.action,
                rates=rates,
                created_at=self.record.at,
                customer_id=slot.customer_id,
                model=slot.model,
                provider=slot.provider,
            )
        )
        # The new one first: no gateway may see the action without a price in between.
        self._put_price(price)
        if before is not None:
            self._put_price(msgspec.structs.replace(before, is_active=False, ended_at=self.record.at))
        self.put(_active_key(slot), b"%d" % price.id)
        self.enter("pricing.updated", actor, objects.price_object(price))
        return price

    def _install(self, price: config.Price) -> config.Price:
        """Number the change of this price and send it to the shards that use it. The row keeps the number with which it
        came into force."""
        self.count(number=self.counters.number + 1)
        number, customer = self.counters.number, price.customer_id
        command = InstallPrice(
            number=number,
            id=price.id,
            action_type=price.action_type,
            rates=price.rates,
            customer_id=customer,
            active=price.is_active,
            model=price.model,
            provider=price.provider,
        )
        where = None if customer is None else (partition_of(customer.encode(), self.partitions),)
        self.outgoing.append(OutgoingRecord(where, PRICE_KEY, encode_command(command)))
        return msgspec.structs.replace(price, number=number) if price.is_active else price

    def _active(self, slot: PriceSlot) -> config.Price | None:
        id = self.get(_active_key(slot))
        if id is None:
            return None
        stored = self.get(kept_at(config.price_key(int(id))))
        if stored is None:
            raise LookupError(f"price {int(id)} is in force but not in the state")
        return _decode_price(stored)

    def _customer(self, customer_id: str) -> config.Customer | None:
        stored = self.get(kept_at(config.customer_key(customer_id)))
        return _decode_customer(stored) if stored is not None else None

    def _put_customer(self, customer: config.Customer) -> None:
        self.put_viewed(config.customer_key(customer.customer_id), config.encode(customer))

    def _put_key(self, key: config.ApiKey) -> None:
        self.put_viewed(config.key_key(key.id), config.encode(key))

    def _put_price(self, price: config.Price) -> None:
        self.put_viewed(config.price_key(price.id), config.encode(price))


def _active_key(slot: PriceSlot) -> bytes:
    return b"config/active/" + state.price_key(slot)


def _rates(rates: Rates) -> Rates:
    try:
        return prices.canonical_rates(rates)
    except MoneyError as error:
        raise ConfigRefused(400, "invalid_request", str(error)) from None


def _check_name(field: str, name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in name):
        raise ConfigRefused(
            400, "invalid_request", f"{field} must be 1 to {MAX_NAME} characters, no control characters"
        )


def _check_customer(customer_id: str) -> None:
    _check_name("customer_id", customer_id)
    if customer_id == PLATFORM or customer_id.startswith("_"):
        raise ConfigRefused(400, "invalid_request", f"customer id {customer_id!r} is reserved")
