"""The seam between the shard host and the pure code that it runs."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from schemas.replies import Reply


class InputRecord(NamedTuple):
    """One record of the input topic. ``at``: its append time made monotone in the shard, ms."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    at: int


class OutgoingRecord(NamedTuple):
    """A record to append to the input topic after the commit. The host keeps it in the
    shard's state until every append is acknowledged, and sends it again after a restart; so
    it may arrive more than once, and in the order of the decisions that made it.
    """

    partitions: tuple[int, ...] | None
    """None: every partition."""
    key: bytes
    value: bytes


class RetainedRecord(NamedTuple):
    """Something to be recalled by key for a while: restored from rev.entries, not rev.state."""

    key: bytes
    value: bytes
    at: int
    """Accepted time in ms; decides when it may be forgotten."""


class Decision(NamedTuple):
    """What applying one record came to. Everything in it is committed at once, or nothing is."""

    entries: bytes | None = None
    """Value of the one record for the output topic (key: the input's), if any."""
    changes: tuple[tuple[bytes, bytes | None], ...] = ()
    """State to write; None deletes."""
    view: tuple[tuple[bytes, bytes | None], ...] = ()
    """Records for the compacted view topic (rev.config)."""
    retained: tuple[RetainedRecord, ...] = ()
    outgoing: tuple[OutgoingRecord, ...] = ()
    reply: Reply | None = None
    """The answer, for who waits if anybody does. One that is about configuration is sent after the commit and after
    ``outgoing`` is acknowledged, any other at once. The host fills in Configured.view_offset with the last offset
    of ``view``."""


class StateView(Protocol):
    """A shard's state as the record being applied sees it: all earlier records of the log
    included, committed or not."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Pairs whose key begins with prefix, in key order."""
        ...

    def get_retained(self, key: bytes) -> RetainedRecord | None: ...


class Processor(Protocol):
    """Pure code for one shard. It must not keep state of its own between records other than
    caches of pure functions: what was decided and not committed is decided again from the log, and
    must come out the same, since it may have been answered.
    """

    version: int
    """Of its rules: raised by every change that decides a record otherwise than before."""

    def apply(self, record: InputRecord, state: StateView) -> Decision:
        """Decide one record. Raising means that it fails deterministically: the host tries it
        alone, then calls :meth:`reject`."""
        ...

    def reject(self, record: InputRecord, reason: str) -> Decision:
        """The decision for a record that cannot be applied: a visible refusal and no money."""
        ...

    def weight(self, record: InputRecord) -> int:
        """How many events the record carries, for the bound on a transaction."""
        ...

    def retained_from(self, record: InputRecord) -> list[RetainedRecord]:
        """What one record of the OUTPUT topic (as an Input) says is to be remembered."""
        ...
