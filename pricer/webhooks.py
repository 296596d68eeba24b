"""Webhook endpoints: created, changed, rotated, deleted, tested and replayed by the configuration shard.

Secrets come in encrypted and are never inspected. Whatever the notifier must see in the order of events (a test, a
replay, a disabled endpoint) is a config entry. Pure.
"""

from functools import singledispatchmethod

import msgspec

from pricer.config_transaction import ConfigRefused, ConfigTransaction, entry_record, kept_at
from schemas import config, objects
from schemas.commands import (
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    ProbeWebhook,
    ReplayWebhook,
    RotateWebhook,
    UpdateWebhook,
    encode,
)
from schemas.config import Webhook
from schemas.deliveries import REPLAY
from schemas.entries import Entry
from schemas.state import SEPARATOR
from schemas.topics import partition_of
from schemas.webhooks import webhook_object
from streams.types import Decision, InputRecord, OutgoingRecord

MAX_WEBHOOKS = 100
"""Maximum endpoints of one customer and mode."""
_decode = msgspec.json.Decoder(Webhook).decode
_decode_ids = msgspec.json.Decoder(list[int]).decode
_encode_any = msgspec.json.Encoder().encode


class WebhookChange(ConfigTransaction):
    """A change of one endpoint, or a message to the notifier about it."""

    @singledispatchmethod
    def make(self, command: ChangeWebhook) -> None:
        """Compute the change. Raises ConfigRefused."""
        raise TypeError(f"no webhook command: {command!r}")

    @make.register
    def _(self, command: CreateWebhook) -> None:
        ids = self._ids(command.customer_id, command.test)
        if len(ids) >= MAX_WEBHOOKS:
            raise ConfigRefused(
                409, "too_many_webhooks", f"a customer may have {MAX_WEBHOOKS} webhooks; delete one first"
            )
        self.count(webhook=self.counters.webhook + 1)
        id = self.counters.webhook
        self._put_ids(command.customer_id, command.test, [*ids, id])
        made = Webhook(
            id=id,
            customer_id=command.customer_id,
            url=command.url,
            events=command.events,
            secret=command.secret,
            created_at=self.record.at,
            test=command.test,
        )
        self._keep("webhook.created", command.actor, made)

    @make.register
    def _(self, command: UpdateWebhook) -> None:
        before = self._webhook(command.id, command.customer_id)
        active = before.active if command.active is None else command.active
        after = msgspec.structs.replace(
            before,
            url=before.url if command.url is None else command.url,
            events=before.events if command.events is None else command.events,
            active=active,
            disabled=None if active else command.disabled or before.disabled,
        )
        self.status = 200
        given_up = command.disabled is not None
        if given_up and not before.active:  # a repeat, or the owner was faster
            self.result = webhook_object(before)
            return
        self._keep("webhook.disabled" if given_up else "webhook.updated", command.actor, after)

    @make.register
    def _(self, command: RotateWebhook) -> None:
        before = self._webhook(command.id, command.customer_id)
        after = msgspec.structs.replace(
            before, secret=command.secret, previous=before.secret, rotated_at=self.record.at
        )
        self.status = 200
        self._keep("webhook.rotated", command.actor, after)

    @make.register
    def _(self, command: DeleteWebhook) -> None:
        before = self._webhook(command.id, command.customer_id)
        left = [id for id in self._ids(before.customer_id, before.test) if id != before.id]
        self._put_ids(before.customer_id, before.test, left)
        self.put_viewed(config.webhook_key(before.id), None)
        self.result, self.status = objects.deleted(before.id), 200
        self.enter("webhook.deleted", command.actor, webhook_object(before))

    @make.register
    def _(self, command: ProbeWebhook) -> None:
        found = self._webhook(command.id, command.customer_id)
        self.result, self.status = webhook_object(found), 202
        self.enter("webhook.test", command.actor, self.result)

    @make.register
    def _(self, command: ReplayWebhook) -> None:
        """Send the replay to every partition that holds events to send again: this one, and the one with the customer's
        own events."""
        found = self._webhook(command.id, command.customer_id)
        self.result, self.status = webhook_object(found), 202
        sent = encode(command)
        here = self.record.partition
        there = partition_of(found.customer_id.encode(), self.partitions)
        wanted = {here, there} if command.partition is None else {command.partition} & {here, there}
        if not wanted:
            raise ConfigRefused(404, "not_found", "no such delivery of this webhook")
        self.enter(REPLAY if here in wanted else "webhook.replayed", command.actor, msgspec.Raw(sent))
        if there in wanted - {here}:
            self.outgoing.append(OutgoingRecord((there,), found.customer_id.encode(), sent))

    def _webhook(self, id: int, customer_id: str) -> Webhook:
        kept = self.get(kept_at(config.webhook_key(id)))
        found = None if kept is None else _decode(kept)
        if found is None or found.customer_id != customer_id:
            raise ConfigRefused(404, "not_found", f"no webhook {id}")
        return found

    def _keep(self, type: str, actor: str, webhook: Webhook) -> None:
        self.put_viewed(config.webhook_key(webhook.id), config.encode(webhook))
        self.result = webhook_object(webhook)
        self.enter(type, actor, self.result)

    def _ids(self, customer_id: str, test: bool) -> list[int]:
        kept = self.get(_ids_key(customer_id, test))
        return [] if kept is None else _decode_ids(kept)

    def _put_ids(self, customer_id: str, test: bool, ids: list[int]) -> None:
        self.put(_ids_key(customer_id, test), _encode_any(ids) if ids else None)


def meet(command: ReplayWebhook, record: InputRecord) -> Decision:
    """Decide a replay in the customer's shard, sent on by the configuration shard. It may arrive more than once: what
    is then delivered again has the same id."""
    entry = Entry("config", type=REPLAY, actor=command.actor, detail=msgspec.Raw(encode(command)))
    return Decision(entries=entry_record(record, [entry]))


def _ids_key(customer_id: str, test: bool) -> bytes:
    return b"config/webhooks" + (SEPARATOR + SEPARATOR if test else SEPARATOR) + customer_id.encode()
