"""What of a partition's lanes is durable: the keys and values of rev.backlogs.

``position`` says how far the partition was matched, ``lane/<endpoint>`` what an endpoint has
left before it, ``retry/<endpoint>/<offset>/<place>/<replay>`` one delivery that failed and is
tried again. A lane without records has nothing left. References only, never a body. Pure.
"""

import msgspec

POSITION = b"position"
LANE = b"lane/"
RETRY = b"retry/"


class Position(msgspec.Struct, frozen=True):
    """``next``: offset of rev.entries to be matched next. ``config`` and ``webhook``: how far the
    configuration was known by then: next offset of rev.config, highest endpoint id.
    ``epoch``: of the log."""

    next: int
    config: int
    webhook: int
    epoch: str


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """See notifier.lanes.Range."""

    offset: int
    place: int
    end: int | None
    replay: bool
    at: int
    only: int | None


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A first try that has not ended: its reference, and what it is for whoever reads of it."""

    offset: int
    place: int
    replay: bool
    event: int
    type: str


class LaneRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    customer_id: str
    ranges: list[Stretch] = []
    waiting: list[Waiting] = []
    failing_since: int | None = None
    failures: int = 0
    hold: int = 0


class RetryRecord(msgspec.Struct, frozen=True, array_like=True):
    """``tries``: how many were made. ``due``: ms UTC."""

    tries: int
    due: int
    event: int
    type: str


def lane_key(webhook: int) -> bytes:
    return b"lane/%d" % webhook


def retry_key(webhook: int, offset: int, place: int, replay: bool) -> bytes:
    return b"retry/%d/%d/%d/%d" % (webhook, offset, place, replay)


def parse_retry_key(key: bytes) -> tuple[int, int, int, bool]:
    """Endpoint, offset, place, replay. Raises ValueError for any other key."""
    kind, webhook, offset, place, replay = key.split(b"/")
    if kind != b"retry":
        raise ValueError(f"no key of a retry: {key!r}")
    return int(webhook), int(offset), int(place), replay == b"1"


encode = msgspec.json.Encoder().encode
decode_position = msgspec.json.Decoder(Position).decode
decode_lane = msgspec.json.Decoder(LaneRecord).decode
decode_retry = msgspec.json.Decoder(RetryRecord).decode
