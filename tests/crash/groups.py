"""What the faults ask Kafka for: deleting a group with all that the broker remembers of it, and what is committed."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DeleteGroupsRequest


async def delete_group(kafka: str, group: str) -> bool:
    """True when the broker deleted the group; False while it still has members."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        coordinator = await admin.find_coordinator(group)
        response = await admin._send_request(DeleteGroupsRequest([group]), coordinator)
        return all(code == 0 for _, code in response.results)
    finally:
        await admin.close()


async def stable_ends(kafka: str, topic: str, partitions: int) -> list[int]:
    """By partition: the offset below which everything is committed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False, group_id=None
    )
    await consumer.start()
    try:
        tps = [TopicPartition(topic, partition) for partition in range(partitions)]
        ends = await consumer.end_offsets(tps)
        return [int(ends[tp]) for tp in tps]
    finally:
        await consumer.stop()
