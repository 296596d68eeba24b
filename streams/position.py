"""Where a shard is: a record of its state, so that it is committed with everything else."""

import msgspec

KEY = b"!position"


class Position(msgspec.Struct, frozen=True):
    """``next``: the next offset of rev.raw to apply. ``at``: the shard's time in ms, monotone.
    ``epoch``: of the log that both belong to."""

    next: int
    at: int
    epoch: str


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Position).decode


def decode(value: bytes | None) -> Position | None:
    return None if value is None else _decode(value)
