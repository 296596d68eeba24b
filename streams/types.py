"""The interface between the shard host and the pure code that it runs."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import msgspec

from schemas.replies import Reply


class InputRecord(NamedTuple):
    """One record of the input topic. ``at`` is its append time in ms, made monotone within the shard."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    at: int


class OutgoingRecord(NamedTuple):
    """A record to append to the input topic after the commit.

    The host keeps it in the shard's state until every append is acknowledged, and sends it again after a restart. It
    may therefore arrive more than once, in the order of the decisions that made it.
    """

    partitions: tuple[int, ...] | None
    """The target partitions; None means every partition."""
    key: bytes
    value: bytes


class RetainedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record kept by key for a while; restored from rev.entries, not from rev.state."""

    key: bytes
    value: bytes
    at: int
    """Accepted time in ms; determines when the record may be dropped."""


class Decision(NamedTuple):
    """The result of applying one record. It is committed as a whole or not at all."""

    entries: bytes | None = None
    """Value of the one record for the output topic, if any. Its key is the input's."""
    changes: tuple[tuple[bytes, bytes | None], ...] = ()
    """State to write; None deletes."""
    view: tuple[tuple[bytes, bytes | None], ...] = ()
    """Records for the compacted view topic (rev.config)."""
    retained: tuple[RetainedRecord, ...] = ()
    outgoing: tuple[OutgoingRecord, ...] = ()
    reply: Reply | None = None
    """The reply to the waiting gateway, if any. A configuration reply is sent after the commit and after ``outgoing``
    is acknowledged, any other at once. The host sets ConfiguredReply.view_offset to the last offset of ``view``."""


class StateView(Protocol):
    """A shard's state as seen by the record being applied: includes all earlier records of the log, committed or
    not."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the pairs whose key begins with prefix, in key order."""
        ...

    def get_retained(self, key: bytes) -> RetainedRecord | None: ...


class Processor(Protocol):
    """Pure code for one shard.

    It must keep no state between records other than caches of pure functions: an uncommitted decision is made again
    from the log and must have the same result, because it may have been answered.
    """

    version: int
    """Version of its rules. Raise it with every change that decides any record differently."""

    def apply(self, record: InputRecord, state: StateView) -> Decision:
        """Decide one record. An exception means that the record fails deterministically: the host tries it alone, then
        calls :meth:`reject`."""
        ...

    def reject(self, record: InputRecord, reason: str) -> Decision:
        """Return the decision for a record that cannot be applied: a visible refusal and no money."""
        ...

    def weight(self, record: InputRecord) -> int:
        """Return how many events the record carries, which bounds a transaction."""
        ...

    def retained_from(self, record: InputRecord) -> list[RetainedRecord]:
        """Return the records to retain for one record of the OUTPUT topic (as an InputRecord)."""
        ...
