"""Reading a whole partition, for the tests of bootstrap."""

from aiokafka import AIOKafkaConsumer, TopicPartition


async def all_records(kafka: str, topic: str, partition: int) -> list[tuple[bytes, bytes]]:
    """Key and value of every record that the partition holds now."""
    where = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    consumer.assign([where])
    await consumer.start()
    try:
        end = (await consumer.end_offsets([where]))[where]
        found = []
        while await consumer.position(where) < end:  # offsets also count the markers of transactions
            found += [(r.key, r.value) for r in (await consumer.getmany(timeout_ms=200)).get(where, [])]
        return found
    finally:
        await consumer.stop()
