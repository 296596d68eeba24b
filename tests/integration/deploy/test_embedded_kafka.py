"""The embedded broker, driven through the same command that everything else uses."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

pytestmark = pytest.mark.integration

Serve = Callable[[str, Path], AbstractContextManager[tuple[dict[str, Any], Any]]]


async def _create(kafka: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 2, 1)])
    finally:
        await admin.close()


async def _send(kafka: str, topic: str, value: bytes) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = await producer.send_and_wait(topic, value, partition=1)
        return int(sent.offset)
    finally:
        await producer.stop()


async def _first(kafka: str, topic: str) -> tuple[int, bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 1)])
    await consumer.start()
    try:
        record = await consumer.getone()
    finally:
        await consumer.stop()
    return record.offset, record.value


async def test_serves_a_topic(kafka: str) -> None:
    """What is acknowledged by the embedded broker is read back from it."""
    topic = f"deploy-{uuid.uuid4().hex}"
    await _create(kafka, topic)
    offset = await _send(kafka, topic, b"value")
    assert await _first(kafka, topic) == (offset, b"value")


async def test_keeps_what_it_acknowledged_when_it_is_killed(serve: Serve, tmp_path: Path) -> None:
    """kill -9 and a new start: the same port, the same records, nothing of the old process left."""
    data = tmp_path / "kafka"
    with serve("deploy.kafka", data) as (ready, process):
        kafka = f"127.0.0.1:{ready['port']}"
        await _create(kafka, "kept")
        offset = await _send(kafka, "kept", b"value")
        process.kill()
        process.wait()
    with serve("deploy.kafka", data) as (again, _):
        assert again == ready
        assert await _first(kafka, "kept") == (offset, b"value")
