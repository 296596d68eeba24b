"""pricer.webhooks: endpoints are made, changed, rotated, deleted, tried out and replayed once for every gateway."""

import json
from typing import Any

import msgspec
import pytest

from pricer.memory import MemoryShard
from pricer.webhooks import MAX_WEBHOOKS
from schemas import config, entries
from schemas.commands import (
    Configure,
    CreateWebhook,
    DeleteWebhook,
    Genesis,
    ProbeWebhook,
    ReplayWebhook,
    RotateWebhook,
    UpdateWebhook,
)
from schemas.deliveries import REPLAY
from schemas.entries import Entry
from schemas.prices import DEFAULTS
from schemas.replies import ConfiguredReply, RefusedReply
from schemas.topics import CONFIG_KEY, partition_of
from streams.types import Decision

PARTITIONS = 4
NOON = 1_777_204_800_000
CONFIG_SHARD = partition_of(CONFIG_KEY, PARTITIONS)
NEAR = next(f"c{i}" for i in range(99) if partition_of(f"c{i}".encode(), PARTITIONS) == CONFIG_SHARD)
FAR = next(f"c{i}" for i in range(99) if partition_of(f"c{i}".encode(), PARTITIONS) != CONFIG_SHARD)
CREATE = CreateWebhook(FAR, "https://example.com/hook", ["meter.created"], "v1:sealed")


@pytest.fixture
def log() -> MemoryShard:
    """A new log after its genesis."""
    made = MemoryShard(PARTITIONS)
    made.now = NOON
    configure(made, Genesis("e0", DEFAULTS))
    return made


def configure(log: MemoryShard, command: Configure) -> Decision:
    return log.append(CONFIG_KEY, command)


def result(decision: Decision, status: int) -> Any:
    assert isinstance(decision.reply, ConfiguredReply)
    assert decision.reply.status == status
    return json.loads(memoryview(decision.reply.result).tobytes())


def refused(decision: Decision, status: int) -> str:
    assert isinstance(decision.reply, RefusedReply)
    assert decision.reply.status == status
    assert (decision.changes, decision.view, decision.outgoing) == ((), (), ())
    return decision.reply.code


def viewed(log: MemoryShard, id: int) -> config.Webhook:
    return msgspec.json.decode(log.view[config.webhook_key(id)], type=config.Webhook)


def types(log: MemoryShard, partition: int) -> list[str | None]:
    """Types of the config entries of one shard after the genesis."""
    found = [entry for record in log.entries[partition] for entry in entries.decode(record.value).entries]
    return [entry.type for entry in found if entry.kind == "config" and entry.type != "pricing.updated"]


def only_entry(decision: Decision) -> Entry:
    assert decision.entries is not None
    (entry,) = entries.decode(decision.entries).entries
    return entry


def test_a_webhook_is_made_and_its_secret_shown_to_nobody(log: MemoryShard) -> None:
    """The view holds the sealed secret; the answer and the ledger's entry hold none."""
    decision = configure(log, CREATE)
    shown = result(decision, 201)
    assert shown == {
        "id": 1,
        "customer_id": FAR,
        "url": "https://example.com/hook",
        "events": ["meter.created"],
        "active": True,
        "disabled": None,
        "created_at": "2026-04-26T12:00:00.000Z",
        "rotated_at": None,
        "test": False,
    }
    assert viewed(log, 1) == config.Webhook(1, FAR, CREATE.url, CREATE.events, "v1:sealed", NOON)
    assert decision.entries is not None and b"sealed" not in decision.entries
    assert only_entry(decision).type == "webhook.created"
    assert result(configure(log, CREATE), 201)["id"] == 2


def test_what_is_none_stays_as_it_is(log: MemoryShard) -> None:
    """An update changes what it names alone."""
    configure(log, CREATE)
    shown = result(configure(log, UpdateWebhook(1, FAR, events=["*"])), 200)
    assert (shown["url"], shown["events"], shown["active"]) == (CREATE.url, ["*"], True)
    assert result(configure(log, UpdateWebhook(1, FAR, active=False)), 200)["active"] is False
    assert viewed(log, 1).events == ["*"]


def test_another_customers_webhook_is_not_found(log: MemoryShard) -> None:
    """Whatever is asked of it, and nothing changes."""
    configure(log, CREATE)
    before = dict(log.view)
    for command in (
        UpdateWebhook(1, NEAR, active=False),
        RotateWebhook(1, NEAR, "v1:other"),
        DeleteWebhook(1, NEAR),
        ProbeWebhook(1, NEAR),
        ReplayWebhook(1, NEAR, since=0),
        DeleteWebhook(2, FAR),
    ):
        assert refused(configure(log, command), 404) == "not_found"
    assert log.view == before


def test_a_rotation_keeps_the_secret_before_it(log: MemoryShard) -> None:
    """The one before signs beside the new one; the one before that is gone."""
    configure(log, CREATE)
    log.now += 1000
    assert result(configure(log, RotateWebhook(1, FAR, "v1:second")), 200)["rotated_at"] == "2026-04-26T12:00:01.000Z"
    configure(log, RotateWebhook(1, FAR, "v1:third"))
    kept = viewed(log, 1)
    assert (kept.secret, kept.previous, kept.rotated_at) == ("v1:third", "v1:second", NOON + 1000)


def test_a_deleted_webhook_is_gone_and_its_place_free(log: MemoryShard) -> None:
    """Its view record ends in a tombstone, and it counts no more."""
    for _ in range(MAX_WEBHOOKS):
        configure(log, CREATE)
    assert refused(configure(log, CREATE), 409) == "too_many_webhooks"
    assert result(configure(log, DeleteWebhook(7, FAR)), 200) == {"success": True, "deleted_id": 7}
    assert config.webhook_key(7) not in log.view
    assert refused(configure(log, DeleteWebhook(7, FAR)), 404) == "not_found"
    assert result(configure(log, CREATE), 201)["id"] == MAX_WEBHOOKS + 1


def test_an_endpoint_that_was_given_up_is_told_once(log: MemoryShard) -> None:
    """The notifier's word makes it inactive with a webhook.disabled event; its repeat says
    nothing; the owner may switch it on again."""
    configure(log, CREATE)
    give_up = UpdateWebhook(1, FAR, active=False, disabled="410 Gone", actor="notifier")
    assert only_entry(configure(log, give_up)).type == "webhook.disabled"
    assert (viewed(log, 1).active, viewed(log, 1).disabled) == (False, "410 Gone")
    assert configure(log, give_up).entries is None
    configure(log, UpdateWebhook(1, FAR, active=True))
    assert (viewed(log, 1).active, viewed(log, 1).disabled) == (True, None)


def test_a_test_event_is_an_entry_of_the_configuration(log: MemoryShard) -> None:
    """There the notifier meets it, for this endpoint alone."""
    configure(log, CREATE)
    entry = only_entry(configure(log, ProbeWebhook(1, FAR)))
    assert (entry.type, json.loads(bytes(entry.detail))["id"]) == ("webhook.test", 1)


@pytest.mark.parametrize("customer", [NEAR, FAR])
def test_a_replay_is_met_wherever_the_customers_events_are(log: MemoryShard, customer: str) -> None:
    """Once in the configuration's shard and once in the customer's, once where they are one."""
    configure(log, msgspec.structs.replace(CREATE, customer_id=customer))
    replay = ReplayWebhook(1, customer, since=NOON)
    configure(log, replay)
    shards = {CONFIG_SHARD, partition_of(customer.encode(), PARTITIONS)}
    for shard in range(PARTITIONS):
        assert types(log, shard).count(REPLAY) == (shard in shards)
    last = entries.decode(log.entries[partition_of(customer.encode(), PARTITIONS)][-1].value).entries[-1]
    assert msgspec.json.decode(last.detail, type=ReplayWebhook) == replay


def test_one_delivery_is_replayed_where_it_stands_alone(log: MemoryShard) -> None:
    """The other shard is not told, and a place that cannot be the customer's is not found."""
    configure(log, CREATE)
    there = partition_of(FAR.encode(), PARTITIONS)
    configure(log, ReplayWebhook(1, FAR, partition=there, offset=3, index=0))
    assert (types(log, there).count(REPLAY), types(log, CONFIG_SHARD).count(REPLAY)) == (1, 0)
    elsewhere = next(p for p in range(PARTITIONS) if p not in (there, CONFIG_SHARD))
    assert refused(configure(log, ReplayWebhook(1, FAR, partition=elsewhere, offset=3)), 404) == "not_found"
