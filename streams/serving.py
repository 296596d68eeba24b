"""A service made of shards, assembled in one place that reads top to bottom.

Contains nothing specific to a service: a Processor supplies what the shards do.
"""

import asyncio

from schemas.settings import Settings
from streams.appends import Appender
from streams.epoch import log_epoch
from streams.health import HealthServer
from streams.host import ShardHost
from streams.instance import Instance
from streams.reply_sender import ReplySender
from streams.rocks import RocksStore
from streams.shard import ShardConfig
from streams.topic_names import STANDARD
from streams.types import Processor
from streams.waiting import finished


async def serve(settings: Settings, service: str, processor: Processor, stop: asyncio.Event) -> None:
    """Run this process's shards until ``stop`` is set. Raises InstanceTaken if a running process holds the ordinal,
    SettingError if the metrics port is taken or REV_DATA cannot be used."""
    instance = Instance(settings.data, service, settings.ordinal)
    hosts: list[ShardHost] = []
    health = HealthServer(
        settings.metrics_port, lambda: hosts[0].not_ready_reasons() if hosts else ["no log yet"], settings.http_host
    )
    await health.start()
    reply_sender = ReplySender(settings.kafka, STANDARD.replies)
    appender = Appender(settings.kafka, append_timeout=settings.append_timeout)
    try:
        known = asyncio.create_task(log_epoch(settings.kafka))
        if not await finished(known, stop):
            return
        await reply_sender.start()
        await appender.start()
        config = ShardConfig(
            kafka=settings.kafka,
            service=service,
            processor=processor,
            epoch=known.result(),
            partitions=settings.partitions,
            sender=appender,
            reply_sender=reply_sender,
        )
        host = ShardHost(
            config,
            instance.name,
            lambda partition: RocksStore(instance.directory / str(partition), config.retention),
            session_timeout=settings.session_timeout,
        )
        hosts.append(host)
        await host.run(stop)
    finally:
        await appender.stop()
        await reply_sender.stop()
        await health.stop()
        instance.release()
