"""One configuration command on its way to a decision: what every kind of change shares.

The shard's state, the view records for the gateways, the config entries for the ledger, the
records that it sends on, and the answer. Pure; no secret may come in but encrypted.
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
    """A configuration command that is refused; nothing of it is kept but its entry."""

    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.status, self.code, self.error = status, code, error


def refused(command: Configure, record: InputRecord, refusal: ConfigRefused) -> Decision:
    """A refusal after the append: a rejected entry with the reason, and the answer."""
    actor = None if isinstance(command, Genesis) else command.actor
    entry = Entry("rejected", reason=refusal.error, actor=actor)
    return Decision(
        entries=entry_record(record, [entry]), reply=RefusedReply(refusal.status, refusal.code, refusal.error)
    )


def entry_record(record: InputRecord, written: list[Entry]) -> bytes:
    """Entry record of a command that no customer sent; its customer is the record's key, or
    the configuration's for a foreign record without one, since a row needs a customer."""
    return entries.encode(
        EntryRecord(record.key.decode(errors="replace") or CONFIG_KEY.decode(), record.offset, record.at, written)
    )


class ConfigTransaction:
    """See the module. ``partitions`` is the number of shards."""

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
        """Everything that the change writes, and its answer."""
        return Decision(
            entries=entry_record(self.record, self.entries) if self.entries else None,
            changes=tuple(self.changes.items()),
            view=tuple(self.view.items()),
            outgoing=tuple(self.outgoing),
            reply=ConfiguredReply(self.result, self.status),
        )

    def enter(self, type: str, actor: str, detail: msgspec.Raw) -> None:
        """One more config entry for the ledger."""
        self.entries.append(Entry("config", len(self.entries), type=type, actor=actor, detail=detail))

    def get(self, key: bytes) -> bytes | None:
        """The state as this change has it so far."""
        return self.changes[key] if key in self.changes else self.shard.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.changes[key] = value

    def count(self, **last: int) -> None:
        """Keep the last id or number that was given."""
        self.counters = msgspec.structs.replace(self.counters, **last)
        self.put(COUNTERS, state.encode(self.counters))

    def put_viewed(self, key: bytes, value: bytes | None) -> None:
        """What the gateways see is what the shard itself decides by."""
        self.view[key] = value
        self.put(kept_at(key), value)


def kept_at(view_key: bytes) -> bytes:
    """Where the configuration shard keeps a record of the view."""
    return b"config/" + view_key
