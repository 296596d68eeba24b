"""Deleting a consumer group with everything that the broker remembers of it."""

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
