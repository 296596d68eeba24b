"""How this product opens and closes Kafka clients: every option that matters, in one place.

The only module that touches what aiokafka does not offer publicly: its waits between two
transactions and two tries to connect, and closing a producer whose broker does not answer.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

from schemas.limits import MAX_MESSAGE

QUICK = 1
"""ms between two tries while the broker verifies a new transaction. As shipped 100 ms."""
AWAY = 0.025
"""Seconds before a broker that cannot be connected to is tried again, where QUICK would be far too often:
a pricer of four shards used half a core that a broker needs to come back."""
SETTLING = 4
"""ms between two tries while the broker finishes the last one. As shipped 20 ms, which was most of a
transaction's latency; with 1 ms three of four requests to begin were in vain, each as dear as another."""
aiokafka.producer.sender.BACKOFF_OVERRIDE = SETTLING / 1000

BATCH = 1 << 20
TRANSACTION_TIMEOUT = 10_000
REQUEST_TIMEOUT = 10_000
HEARTBEAT = 500
GATHERED = 64 << 10
IDLE_FETCH = 200
"""ms that the broker keeps a fetch which finds nothing: so much later a view is confirmed after an outage."""
CLOSING = 2.0
"""Seconds that a client gets to close by itself."""

Clock = Callable[[], float]
"""Seconds of a clock that only goes forward."""
Wait = Callable[[float], Coroutine[Any, Any, None]]
Connect = Callable[..., Coroutine[Any, Any, Any]]
"""How an aiokafka client connects to a node: the connection, or None when there is nobody."""


def transactional_producer(kafka: str, transactional_id: str, wait: Wait = asyncio.sleep) -> AIOKafkaProducer:
    """A shard's producer; starting it fences every earlier one of the same id."""
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
    """``connect``, and AWAY seconds of waiting after each time that it found nobody (None)."""

    async def connect_or_wait(*node: Any, **how: Any) -> Any:
        connection = await connect(*node, **how)
        if connection is None:
            await wait(AWAY)
        return connection

    return connect_or_wait


def idempotent_producer(kafka: str) -> AIOKafkaProducer:
    """acks=all, in order, no duplicates: for appends that must stand."""
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
    """acks=1, no retries beyond the request time-out: for what may be lost."""
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
    """A consumer without a group, to be assigned and seeked by hand. An offset that the log
    does not have is raised, never silently reset. ``fetch``: bytes asked for of each partition
    at once; a batch that is larger still comes whole. ``gather``: ms that the broker may wait
    for GATHERED bytes to come together, for readers who are in no hurry: a fetch for every
    transaction costs both sides more than what is in it."""
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


def group_consumer(kafka: str, group: str, instance: str, session_timeout: int) -> AIOKafkaConsumer:
    """A static member of a group that is used for who owns which partition, and nothing else.
    ``session_timeout`` in ms."""
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


async def discard_producer(producer: AIOKafkaProducer) -> None:
    """Close a producer without waiting for its batches. What it had in flight may still be
    recorded; an open transaction is left to the fence of the next producer."""
    producer._closed = True
    task = producer._sender.sender_task
    await _let_close(producer.client.close())
    # Cancelled once, the sender waits for its requests for ever; again, it gives them up.
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    if task is not None and not task.cancelled():
        task.exception()
    _look_at_errors(producer)


def _look_at_errors(producer: AIOKafkaProducer) -> None:
    """aiokafka sets one error on several futures; asyncio would complain of those that nobody reads."""
    accumulator = producer._message_accumulator
    batches = [*accumulator._pending_batches, *(batch for line in accumulator._batches.values() for batch in line)]
    futures = [future for batch in batches for future in (batch.future, batch._drain_waiter)]
    if producer._txn_manager is not None:
        futures.append(producer._txn_manager._transaction_waiter)
    for future in futures:
        if future is not None and future.done() and not future.cancelled():
            future.exception()


async def discard_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close a consumer; one that does not answer is left behind after CLOSING seconds."""
    await _let_close(consumer.stop())


async def _let_close(call: Coroutine[Any, Any, None]) -> None:
    closing = asyncio.create_task(call)
    try:
        # Not a time-out around the call: it swallows the cancellation and waits on.
        await asyncio.wait([closing], timeout=CLOSING)
    finally:
        forget(closing)


def forget(task: "asyncio.Task[Any]") -> None:
    """Let go of a task: cancelled if it still runs, never waited for; what it raises is of no
    interest any more."""
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
    "partition_consumer",
    "transactional_producer",
]
