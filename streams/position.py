"""A shard's position: a record of its state, so that it is committed with everything else."""

import msgspec

KEY = b"!position"


class Position(msgspec.Struct, frozen=True):
    """A shard's position. ``next``: the next offset of rev.raw to apply. ``at``: the shard's time in ms, monotone.
    ``epoch``: of the log that both belong to. ``version``: of the processor that got here. ``clean``: nothing after
    this position has been answered, which was always so before this field existed."""

    next: int
    at: int
    epoch: str
    version: int = 0
    clean: bool = True


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Position).decode


def decode(value: bytes | None) -> Position | None:
    return None if value is None else _decode(value)
