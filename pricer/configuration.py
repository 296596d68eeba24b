"""Configuration commands for keys, prices and customers, decided by the configuration shard.

Only this shard allocates ids. A change is one Decision: the shard's state, the view records for the gateways, one
config entry for the ledger, and for a price the numbered InstallPrice that every shard (for an override, the
customer's) takes from its own log. Pure. No secret may come in.
"""

from functools import singledispatchmethod

import msgspec

from pricer import list_changes, webhooks
from pricer.config_rules import PLATFORM, check_customer, check_slot, valid_rates
from pricer.config_transaction import ConfigRefused, ConfigTransaction, kept_at, refused
from pricer.price_changes import PriceChanges
from schemas import config, objects, price_list
from schemas.commands import (
    ChangeWebhook,
    Configure,
    CreateKey,
    DeletePrice,
    EnsureCustomer,
    Genesis,
    RevokeKey,
    SetPrice,
    SetPriceList,
    UpdateCustomer,
)
from schemas.price_match import PriceSlot
from streams.types import Decision, InputRecord, StateView

GENESIS = b"config/genesis"
SEEDED = msgspec.Raw(b'{"success":true}')

_decode_key = msgspec.json.Decoder(config.ApiKey).decode
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
        changes = PriceChanges(self)
        for seed in command.prices:
            slot = PriceSlot(None, seed.action_type)
            if not changes.of_slot(slot):
                changes.set(slot, valid_rates(seed.rates), "genesis")
        changes.send()

    @make.register
    def _(self, command: CreateKey) -> None:
        customer_id, name = command.customer_id, command.customer_name
        signed_up: msgspec.Raw | None = None
        if customer_id == PLATFORM and command.signup is not None:
            raise ConfigRefused(400, "invalid_request", f"customer id {customer_id!r} is reserved")
        if customer_id != PLATFORM:
            check_customer(customer_id)
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
        slot = PriceSlot(command.customer_id, command.action_type, command.model, command.provider)
        check_slot(slot)
        changes = PriceChanges(self)
        price = changes.set(slot, valid_rates(command.rates), command.actor, command.effective_at)
        changes.send()
        self.result = objects.price_object(price)

    @make.register
    def _(self, command: SetPriceList) -> None:
        shown = list_changes.apply(command, PriceChanges(self), self.record.at)
        self.result = msgspec.Raw(price_list.encode(shown))
        self.status = 201 if shown.added or shown.changed else 200

    @make.register
    def _(self, command: DeletePrice) -> None:
        changes = PriceChanges(self)
        price = changes.find(command.id)
        if price is None:
            raise ConfigRefused(404, "not_found", f"no price {command.id}")
        self.result, self.status = objects.deleted(command.id), 200
        changes.end(price, command.actor)
        changes.send()

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
        check_customer(command.customer_id)
        customer = self._customer(command.customer_id)
        if customer is None:
            customer = config.Customer(command.customer_id, self.record.at, metered=True)
            self.result = objects.customer_object(customer)
            self.enter("customer.created", command.actor, self.result)
        else:
            self.result, self.status = objects.customer_object(customer), 200
        self._put_customer(customer)

    def _customer(self, customer_id: str) -> config.Customer | None:
        stored = self.get(kept_at(config.customer_key(customer_id)))
        return _decode_customer(stored) if stored is not None else None

    def _put_customer(self, customer: config.Customer) -> None:
        self.put_viewed(config.customer_key(customer.customer_id), config.encode(customer))

    def _put_key(self, key: config.ApiKey) -> None:
        self.put_viewed(config.key_key(key.id), config.encode(key))
