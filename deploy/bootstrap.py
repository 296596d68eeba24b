"""What Kafka needs before the services start: topics, the log's epoch, the first prices.

Everything here can run again at any time and changes nothing that already exists.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NodeNotReadyError, ProducerFenced, for_code

from schemas import commands, config, topics
from schemas.prices import DEFAULTS
from schemas.settings import Settings
from streams.epoch import epoch_in
from streams.errors import Hung
from streams.views import contents

ALREADY_EXISTS = 36
"""Kafka's error code when another client has just created the topic."""
READ_WITHIN = 90.0
"""Seconds within which rev.config must be read."""
LEADERS_WITHIN = 90.0
"""Seconds within which every new partition must have a leader."""
BROKER_TRIES, BROKER_PAUSE = 300, 0.1
"""Number of times that a cluster without a broker is asked again, and the seconds between them."""


class BootstrapError(RuntimeError):
    """Error for a cluster that cannot be used as it is; the message is one sentence for the operator."""


async def ensure(settings: Settings, epoch: str | None = None) -> str:
    """Make the cluster ready for the services; return the epoch of its log (hex).

    ``epoch`` is for a new log (None: a random one). Raises BootstrapError if the cluster disagrees
    with the settings, aiokafka's errors if it cannot be reached.
    """
    await with_a_broker(lambda: _ensure_topics(settings))
    view = await _read_config(settings.kafka)
    known = epoch_in(view)
    if known is None:
        known = await _write_epoch(settings.kafka, epoch or secrets.token_hex(16))
    if config.price_key(1) not in view:
        await _append_genesis(settings, known)
    return known


async def _write_epoch(kafka: str, epoch: str) -> str:
    """Write the epoch and return the log's only one, even when several bootstraps write at once.

    Each fences the earlier ones before it reads again. Raises BootstrapError if it was fenced itself.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, transactional_id="rev-bootstrap", transaction_timeout_ms=10_000
    )
    try:
        await producer.start()
        known = epoch_in(await _read_config(kafka))
        if known is not None:
            return known
        async with producer.transaction():
            record = msgspec.json.encode({"epoch": epoch})
            await producer.send_and_wait(topics.CONFIG, record, key=config.EPOCH)
        return epoch
    except ProducerFenced as error:
        raise BootstrapError("another bootstrap of this cluster is running; wait for it, then try again") from error
    finally:
        await producer.stop()


async def _append_genesis(settings: Settings, epoch: str) -> None:
    """Append the first command of the log; the pricer ignores repeats."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        genesis = commands.encode(commands.Genesis(epoch=epoch, prices=DEFAULTS))
        shard = topics.partition_of(topics.CONFIG_KEY, settings.partitions)
        await producer.send_and_wait(topics.RAW, genesis, key=topics.CONFIG_KEY, partition=shard)
    finally:
        await producer.stop()


async def with_a_broker(attempt: Callable[[], Awaitable[None]], pause: float = BROKER_PAUSE) -> None:
    """Repeat the attempt while the cluster has no broker: one that has just started answers before its cluster names
    it. Raises NodeNotReadyError if that lasts."""
    for tries in range(BROKER_TRIES):
        try:
            return await attempt()
        except NodeNotReadyError:
            if tries == BROKER_TRIES - 1:
                raise
            await asyncio.sleep(pause)


async def _ensure_topics(settings: Settings) -> None:
    wanted = topics.topics(settings.partitions)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        there = {topic["topic"]: topic for topic in await admin.describe_topics()}
        disagreement = wrong_partitions(wanted, {name: len(topic["partitions"]) for name, topic in there.items()})
        if disagreement:
            raise BootstrapError(disagreement)
        missing = [topic for topic in wanted if topic.name not in there]
        lost = [topic.name for topic in missing if topic.name in (topics.RAW, topics.ENTRIES, topics.STATE)]
        if lost and topics.CONFIG in there:
            # With an empty topic in its place, the log would be applied, and charged, again.
            names = ", ".join(lost)
            raise BootstrapError(f"this log has lost its topic {names}; restore the topic before you start a service")
        # rev.config last: if it exists, so do all the others
        for group in ([t for t in missing if t.name != topics.CONFIG], [t for t in missing if t.name == topics.CONFIG]):
            if group:
                await _create(admin, [new_topic(topic, settings.replication) for topic in group])
        await _leaders(admin, [topic.name for topic in missing])
    finally:
        await admin.close()


def wrong_partitions(wanted: list[topics.Topic], there: dict[str, int]) -> str | None:
    """Return why the existing topics cannot be used, or None. ``there``: partitions by topic."""
    for topic in wanted:
        found = there.get(topic.name, topic.partitions)
        if found != topic.partitions:
            return (
                f"topic {topic.name} must have {topic.partitions} partitions, not {found}; set REV_PARTITIONS to the"
                " number that the log was created with, which never changes"
            )
    return None


def new_topic(topic: topics.Topic, replication: int) -> NewTopic:
    """Return how to create the topic: with n replicas a write needs all but one of them."""
    safe = {"min.insync.replicas": str(max(1, replication - 1)), "unclean.leader.election.enable": "false"}
    return NewTopic(topic.name, topic.partitions, replication, topic_configs={**topic.config, **safe})


async def _create(admin: AIOKafkaAdminClient, new: list[NewTopic]) -> None:
    response = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        if code not in (0, ALREADY_EXISTS):
            reason = message[0] if message and message[0] else for_code(code).__name__
            raise BootstrapError(f"Kafka did not create topic {name}: {reason}")


async def _leaders(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until every partition of the topics has a leader, so that no service starts too early."""
    async with asyncio.timeout(LEADERS_WITHIN):
        while names:
            if all(map(_led, await admin.describe_topics(names))):
                return
            await asyncio.sleep(0.02)


def _led(topic: dict[str, Any]) -> bool:
    partitions = topic["partitions"]
    return bool(partitions) and all(p["error_code"] == 0 and p["leader"] >= 0 for p in partitions)


async def _read_config(kafka: str) -> dict[bytes, bytes]:
    """Return the last value of every key in rev.config. Raises BootstrapError if it cannot be read."""
    try:
        return await contents(kafka, topics.CONFIG, READ_WITHIN)
    except Hung as error:
        raise BootstrapError(f"cannot read {topics.CONFIG}: {error}") from error
