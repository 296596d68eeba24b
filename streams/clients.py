"""Opening and closing of Kafka clients, with every option that matters in one place.

Only this module touches what aiokafka does not expose publicly: its waits between two transactions and between
connection attempts, and closing a producer whose broker does not respond.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiokafka.producer.sender
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

from schemas.limits import MAX_MESSAGE

QUICK = 1
"""ms between retries while the broker verifies a new transaction. The default is 100 ms."""
AWAY = 0.025
"""Seconds before an unreachable broker is tried again. QUICK would be far too often: a pricer of four shards used half
a core that a broker needs to come back."""
SETTLING = 4
"""ms between retries while the broker finishes the previous transaction. The default, 20 ms, was most of a
transaction's latency. With 1 ms, three of four begin requests failed, and each costs as much as a successful one."""
aiokafka.producer.sender.BACKOFF_OVERRIDE = SETTLING / 1000

BATCH = 1 << 20
TRANSACTION_TIMEOUT = 10_000
REQUEST_TIMEOUT = 10_000
HEARTBEAT = 500
GATHERED = 64 << 10
IDLE_FETCH = 200
"""ms that the broker holds a fetch that finds nothing. After an outage, a view is confirmed that much later."""
IDLE_GATHERING = 500
"""The same for readers that gather while records come: nothing waits for their confirmation."""
CLOSING = 2.0
"""Seconds that a client has to close by itself."""

log = structlog.get_logger("streams.clients")

Clock = Callable[[], float]
"""A monotonic clock, in seconds."""
Wait = Callable[[float], Coroutine[Any, Any, None]]
Connect = Callable[..., Coroutine[Any, Any, Any]]
"""How an aiokafka client connects to a node. Returns the connection, or None if the node cannot be reached."""


def transactional_producer(kafka: str, transactional_id: str, wait: Wait = asyncio.sleep) -> AIOKafkaProducer:
    """Create a shard's producer. Starting it fences every earlier producer with the same id."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT,
        request_timeout_ms=REQUEST_TIMEOUT,
        retry_backoff_ms=QUICK,
        linger_ms=0,
        max_batch_size=BATCH,
        max_request_size=MAX_MESSAGE,
    )
    producer.client._get_conn = patient(producer.client._get_conn, wait)
    return producer


def patient(connect: Connect, wait: Wait) -> Connect:
    """Wrap ``connect`` so that it waits AWAY seconds each time it returns None."""

    async def connect_or_wait(*node: Any, **how: Any) -> Any:
        connection = await connect(*node, **how)
        if connection is None:
            await wait(AWAY)
        return connection

    return connect_or_wait


def idempotent_producer(kafka: str) -> AIOKafkaProducer:
    """Create a producer with acks=all, ordered and without duplicates, for appends that must be durable."""
    return AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=REQUEST_TIMEOUT,
        linger_ms=0,
        max_batch_size=BATCH,
        max_request_size=MAX_MESSAGE,
    )


def best_effort_producer(kafka: str) -> AIOKafkaProducer:
    """Create a producer with acks=1 and no retries beyond the request time-out, for records that may be lost."""
    return AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks=1,
        request_timeout_ms=2_000,
        linger_ms=0,
        max_batch_size=BATCH,
        max_request_size=MAX_MESSAGE,
    )


def partition_consumer(
    kafka: str, *, committed: bool = True, fetch: int = MAX_MESSAGE, gather: int = 0
) -> AIOKafkaConsumer:
    """Create a consumer without a group, to be assigned and positioned by hand. An offset that the log does not have
    raises an error; it is never reset silently. ``fetch`` is the maximum bytes per partition and fetch; a larger batch
    is still returned whole. ``gather``: see :func:`hold_fetches`."""
    return AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=fetch,
        fetch_max_bytes=4 * MAX_MESSAGE,
        fetch_min_bytes=GATHERED if gather else 1,
        fetch_max_wait_ms=gather or IDLE_FETCH,
        request_timeout_ms=REQUEST_TIMEOUT,
        check_crcs=True,
    )


def hold_fetches(consumer: AIOKafkaConsumer, gather: int) -> None:
    """Set how long the broker holds the fetches of a started consumer that gathers, from the next one on. ``gather`` is
    the ms that it may wait for GATHERED bytes: a fetch for every transaction costs both sides more than the data in it.
    With 0, which suits an idle log, a fetch is answered as soon as there is anything."""
    fetcher = consumer._fetcher
    fetcher._fetch_min_bytes = GATHERED if gather else 1
    fetcher._fetch_max_wait_ms = gather or IDLE_GATHERING


def group_consumer(kafka: str, group: str, instance: str, session_timeout: int) -> AIOKafkaConsumer:
    """Create a static group member. The group is used only to decide which member owns which partition.
    ``session_timeout`` is in ms."""
    return AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=group,
        group_instance_id=instance,
        enable_auto_commit=False,
        auto_offset_reset="latest",
        session_timeout_ms=session_timeout,
        rebalance_timeout_ms=session_timeout,
        heartbeat_interval_ms=min(HEARTBEAT, session_timeout // 3),
        request_timeout_ms=REQUEST_TIMEOUT,
    )


def leave_when_closed(consumer: AIOKafkaConsumer) -> None:
    """Make a static group member leave its group when it is closed. aiokafka lets static members only time out. One
    that another process with its instance id has replaced does not remove that one."""
    coordinator = consumer._coordinator

    async def leave() -> None:
        if not coordinator.member_id:
            return
        request = _LeaveGroup(coordinator.group_id, coordinator.member_id, coordinator._group_instance_id)
        try:
            response = await coordinator._send_req(request)
            codes = [response.error_code, *(code for *_, code in response.members)]
            log.info("group_left", group=coordinator.group_id, errors=[code for code in codes if code])
        except KafkaError as error:
            # The group removes the member when its session times out.
            log.warning("group_not_left", group=coordinator.group_id, error=repr(error))

    if coordinator is not None:
        coordinator._maybe_leave_group = leave


async def discard_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer without waiting for its batches. Records in flight may still be recorded; an open transaction is
    left for the next producer to fence."""
    producer._closed = True
    task = producer._sender.sender_task
    await _let_close(producer.client.close())
    # After one cancellation the sender waits for its requests for ever; a second one makes it give them up.
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if task is not None and not task.cancelled():
        task.exception()
    await _let_close(producer.client.close())  # again: until it ended, the sender may have opened a connection
    _look_at_errors(producer)


def _look_at_errors(producer: AIOKafkaProducer) -> None:
    """Retrieve the producer's exceptions. aiokafka sets one error on several futures, and asyncio warns about those
    never retrieved."""
    accumulator = producer._message_accumulator
    batches = [*accumulator._pending_batches, *(batch for line in accumulator._batches.values() for batch in line)]
    futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]
    if producer._txn_manager is not None:
        futures.append(producer._txn_manager._transaction_waiter)
    for future in futures:
        if future is not None and future.done() and not future.cancelled():
            future.exception()


async def discard_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer. One that does not respond is abandoned after CLOSING seconds."""
    await _let_close(consumer.stop())


class _LeaveGroupResponse(Response):  # type: ignore[misc]
    """LeaveGroup 3, the first version with instance ids; aiokafka has up to version 1."""

    API_KEY = 13
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")), ("error_code", Int16)),
        ),
    )


class _LeaveGroupRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = _LeaveGroupResponse
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


class _LeaveGroup(Request[_LeaveGroupRequest]):  # type: ignore[misc]
    API_KEY = 13

    def __init__(self, group: str, member_id: str, instance: str) -> None:
        self._group = group
        self._members = [(member_id, instance)]

    def build(self, request_struct_class: type[_LeaveGroupRequest]) -> _LeaveGroupRequest:
        return request_struct_class(self._group, self._members)


async def _let_close(call: Coroutine[Any, Any, None]) -> None:
    closing = asyncio.create_task(call)
    try:
        # Not a time-out around the call: the call swallows the cancellation and keeps waiting.
        await asyncio.wait([closing], timeout=CLOSING)
    finally:
        forget(closing)


def forget(task: "asyncio.Task[Any]") -> None:
    """Cancel a task without waiting for it, and ignore any exception it raises."""
    task.cancel()
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


__all__ = [
    "Clock",
    "ConsumerRebalanceListener",
    "best_effort_producer",
    "discard_consumer",
    "discard_producer",
    "forget",
    "group_consumer",
    "idempotent_producer",
    "leave_when_closed",
    "partition_consumer",
    "transactional_producer",
]
