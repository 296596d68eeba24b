"""What the expirers tell each other in their heartbeats. Pure: no I/O and no clock.

All times are the broker's, in ms UTC.
"""

import msgspec

PRESENT = 3_000
"""ms after its last heartbeat for which an expirer counts as running."""


class Announcement(msgspec.Struct, frozen=True):
    """The value of a heartbeat. ``name`` identifies the sender. ``partitions`` are those that the group gave to it and
    that it reminds for. One that is ``leaving`` takes no more."""

    name: str
    partitions: tuple[int, ...] = ()
    leaving: bool = False


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Announcement).decode


def decode(value: bytes) -> Announcement:
    """Decode a heartbeat. Every other value is the name of an expirer of an earlier version, which announced nothing
    else."""
    try:
        return _decode(value)
    except msgspec.MsgspecError:
        return Announcement(value.decode(errors="replace"))


class Peers:
    """The other expirers. ``name`` is our own, whose heartbeats are ignored."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._announced: dict[int, int] = {}
        """Time of the last announcement of each partition."""
        self._staying: dict[str, int] = {}
        """Time of the last heartbeat of every expirer that is not leaving."""

    def observe(self, value: bytes, at: int) -> None:
        """Add a heartbeat that was appended at this time."""
        found = decode(value)
        if found.name == self._name:
            return
        for partition in found.partitions:
            self._announced[partition] = at
        if found.leaving:
            self._staying.pop(found.name, None)
        else:
            self._staying[found.name] = at

    def remind_for(self, partition: int, since: int) -> bool:
        """True if another expirer has announced the partition after this time."""
        return self._announced.get(partition, -1) > since

    def present(self, now: int) -> bool:
        """True if another expirer runs and is not leaving."""
        return any(now - at <= PRESENT for at in self._staying.values())
