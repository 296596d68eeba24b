"""The durable part of a partition's queues: the keys and values of rev.backlogs.

``position`` records how far the partition was matched, ``queue/<endpoint>`` what an endpoint still has to
be sent before that position, ``retry/<endpoint>/<offset>/<index>/<replay>`` one failed delivery that is
retried. A queue without records has nothing left to send. The records hold references only, never a body.
Pure.
"""

import msgspec

POSITION = b"position"
QUEUE = b"lane/"  # as the first release wrote it; data directories hold such keys
RETRY = b"retry/"


class BacklogPosition(msgspec.Struct, frozen=True):
    """Position up to which a partition was matched. ``next``: next offset of rev.entries to match.
    ``config`` and ``webhook``: how much of the configuration was known at that point: next offset of
    rev.config, highest endpoint id. ``epoch``: of the log."""

    next: int
    config: int
    webhook: int
    epoch: str


class RangeRecord(msgspec.Struct, frozen=True, array_like=True):
    """Record of one range; see notifier.delivery.OffsetRange."""

    offset: int
    event_index: int
    end: int | None
    replay: bool
    at: int
    only: int | None


class WaitingRecord(msgspec.Struct, frozen=True, array_like=True):
    """First attempt that has not ended: its reference, and the event id and type for readers of the record."""

    offset: int
    event_index: int
    replay: bool
    event: int
    type: str


class QueueRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    customer_id: str
    ranges: list[RangeRecord] = []
    waiting: list[WaitingRecord] = []
    failing_since: int | None = None
    failures: int = 0
    hold: int = 0


class RetryRecord(msgspec.Struct, frozen=True, array_like=True):
    """Record of one retry. ``tries``: number of attempts made. ``due``: ms UTC."""

    tries: int
    due: int
    event: int
    type: str


def queue_key(webhook: int) -> bytes:
    return QUEUE + b"%d" % webhook


def retry_key(webhook: int, offset: int, event_index: int, replay: bool) -> bytes:
    return b"retry/%d/%d/%d/%d" % (webhook, offset, event_index, replay)


def parse_retry_key(key: bytes) -> tuple[int, int, int, bool]:
    """Return endpoint, offset, index and replay. Raises ValueError for any other key."""
    kind, webhook, offset, event_index, replay = key.split(b"/")
    if kind != b"retry":
        raise ValueError(f"not the key of a retry: {key!r}")
    return int(webhook), int(offset), int(event_index), replay == b"1"


encode = msgspec.json.Encoder().encode
decode_position = msgspec.json.Decoder(BacklogPosition).decode
decode_queue = msgspec.json.Decoder(QueueRecord).decode
decode_retry = msgspec.json.Decoder(RetryRecord).decode
