"""The parts that every configuration change shares, collected while one command is decided.

They are the shard's state, the view records for the gateways, the config entries for the ledger, the records that it
sends on, and the reply. Pure. Secrets are accepted only in encrypted form.
"""

import msgspec

from schemas import entries, state
from schemas.commands import Configure, Genesis
from schemas.entries import Entry, EntryRecord
from schemas.replies import ConfiguredReply, RefusedReply
from schemas.topics import CONFIG_KEY
from streams.types import Decision, InputRecord, OutgoingRecord, StateView

COUNTERS = b"config/counters"

_decode_counters = msgspec.json.Decoder(state.Counters).decode


class ConfigRefused(Exception):
    """The refusal of a configuration command; only its entry is kept."""

    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.status, self.code, self.error = status, code, error


def refused(command: Configure, record: InputRecord, refusal: ConfigRefused) -> Decision:
    """Return the decision for a refusal after the append: a rejected entry with the reason, and the reply."""
    actor = None if isinstance(command, Genesis) else command.actor
    entry = Entry("rejected", reason=refusal.error, actor=actor)
    return Decision(
        entries=entry_record(record, [entry]), reply=RefusedReply(refusal.status, refusal.code, refusal.error)
    )


def entry_record(record: InputRecord, written: list[Entry]) -> bytes:
    """Return the entry record of a command that no customer sent. Its customer is the record's key, or the
    configuration key for a foreign record without one, since a row needs a customer."""
    return entries.encode(
        EntryRecord(record.key.decode(errors="replace") or CONFIG_KEY.decode(), record.offset, record.at, written)
    )


class ConfigTransaction:
    """One configuration command being decided. ``partitions`` is the number of shards."""

    def __init__(self, record: InputRecord, shard: StateView, partitions: int) -> None:
        self.record = record
        self.shard = shard
        self.partitions = partitions
        stored = shard.get(COUNTERS)
        self.counters = _decode_counters(stored) if stored is not None else state.Counters()
        self.changes: dict[bytes, bytes | None] = {}
        self.view: dict[bytes, bytes | None] = {}
        self.entries: list[Entry] = []
        self.outgoing: list[OutgoingRecord] = []
        self.result = msgspec.Raw(b"")
        self.status = 201

    def decision(self) -> Decision:
        """Return everything that the change writes, and its reply."""
        return Decision(
            entries=entry_record(self.record, self.entries) if self.entries else None,
            changes=tuple(self.changes.items()),
            view=tuple(self.view.items()),
            outgoing=tuple(self.outgoing),
            reply=ConfiguredReply(self.result, self.status),
        )

    def enter(self, type: str, actor: str, detail: msgspec.Raw) -> None:
        """Add a config entry for the ledger."""
        self.entries.append(Entry("config", len(self.entries), type=type, actor=actor, detail=detail))

    def get(self, key: bytes) -> bytes | None:
        """Return a value of the state, including this change so far."""
        return self.changes[key] if key in self.changes else self.shard.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.changes[key] = value

    def count(self, **last: int) -> None:
        """Store the last id or number allocated."""
        self.counters = msgspec.structs.replace(self.counters, **last)
        self.put(COUNTERS, state.encode(self.counters))

    def put_viewed(self, key: bytes, value: bytes | None) -> None:
        """Write a record to both the view and the shard's state, so that gateways see what the shard decides by."""
        self.view[key] = value
        self.put(kept_at(key), value)


def kept_at(view_key: bytes) -> bytes:
    """Return the state key under which the configuration shard keeps a record of the view."""
    return b"config/" + view_key
