"""The pricer as the shard host runs it: one record in, one decision out.

Pure and without state of its own (streams.types.Processor): whatever a decision depends on is in the record or in the
shard's state, so replaying the log gives the same bytes.
"""

import msgspec

from pricer import (
    anchor_commands,
    config_transaction,
    configuration,
    idempotency,
    invoice_notices,
    metering,
    month_terms,
    outcomes,
    price_records,
    refusals,
    reservation_commands,
    spending_commands,
    transitions,
    unpriced_events,
    voids,
    webhooks,
)
from schemas import commands, entries, ids
from schemas.commands import (
    ChargeUnpriced,
    CloseMonth,
    Command,
    CreateBudget,
    DeleteBudget,
    Expire,
    ExpireGrant,
    ExpireReservation,
    GrantCredit,
    InstallPrice,
    InstallPrices,
    InvoiceNotice,
    Meter,
    ReadBalance,
    ReadBillingAnchor,
    ReadBudgets,
    ReadOutcome,
    ReadReservations,
    Register,
    ReleaseReservation,
    ReplayWebhook,
    Reserve,
    Resolve,
    SetBillingAnchor,
    Void,
)
from schemas.entries import Entry
from schemas.limits import MAX_EVENTS
from schemas.replies import RefusedReply, receipt_of
from schemas.topics import CONFIG_KEY, PRICE_KEY, partition_of
from streams.types import Decision, InputRecord, RetainedRecord, StateView

_EVENT = b'"agent_id":'
"""Occurs once in every encoded meter event."""
_CLOSING = tuple(b'{"command":"%s"' % name for name in (b"resolve", b"expire", b"read"))
"""Prefixes of the commands that may close an outcome."""
_UNPRICED = b'{"command":"unpriced.charge"'
"""Prefix of the notice that names the events to charge."""
CLOSING_WEIGHT = 10
"""Weight, in events, of a command that may close an outcome. Though small, it writes the outcome's criteria, up to 16
KiB, again; as many such commands as events would make a transaction many times its raw bytes."""
# Tuples, since a union would be built anew for every command.
_OF_OUTCOMES = (Register, Resolve, Expire, ReadOutcome)
_OF_SPENDING = (CreateBudget, DeleteBudget, ReadBudgets, GrantCredit, ExpireGrant, ReadBalance)
_OF_RESERVATIONS = (Reserve, ReleaseReservation, ExpireReservation, ReadReservations)
_OF_ANCHORS = (SetBillingAnchor, ReadBillingAnchor)
_OF_CUSTOMERS = (
    *(Meter, *_OF_OUTCOMES, CloseMonth, ChargeUnpriced, InvoiceNotice, *_OF_ANCHORS, Void),
    *(*_OF_SPENDING, *_OF_RESERVATIONS),
)
_PRICES = (InstallPrice, InstallPrices)


VERSION = 1
"""Version of the rules. Raise it with every change that decides any command of an existing log differently
(docs/decisions/0031)."""


class Misaddressed(ValueError):
    """A command has a key or partition under which it must not be decided."""


class Pricer:
    """The processor of all commands of a shard. ``partitions`` is the number of shards of the log."""

    version = VERSION

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._config_partition = partition_of(CONFIG_KEY, partitions)

    def apply(self, record: InputRecord, state: StateView) -> Decision:
        """Return the decision for one record. Raises msgspec.DecodeError if the value is not a command, ValueError for
        a command that no gateway writes."""
        command = commands.decode(record.value)
        self._check_address(command, record)
        if isinstance(command, Meter):
            return metering.apply(command, record, state)
        if isinstance(command, _OF_OUTCOMES):
            return outcomes.apply(command, record, state)
        if isinstance(command, CloseMonth):
            return month_terms.close(command, record, state)
        if isinstance(command, ChargeUnpriced):
            return unpriced_events.charge(command, record, state)
        if isinstance(command, InvoiceNotice):
            return invoice_notices.apply(command, record, state)
        if isinstance(command, _OF_ANCHORS):
            return anchor_commands.apply(command, record, state)
        if isinstance(command, Void):
            return voids.apply(command, record, state)
        if isinstance(command, _OF_SPENDING):
            return spending_commands.apply(command, record, state)
        if isinstance(command, _OF_RESERVATIONS):
            return reservation_commands.apply(command, record, state)
        if isinstance(command, _PRICES):
            return price_records.apply(command, record, state)
        if isinstance(command, ReplayWebhook) and record.key != CONFIG_KEY:
            return webhooks.meet(command, record)
        return configuration.apply(command, record, state, self.partitions)

    def reject(self, record: InputRecord, reason: str) -> Decision:
        """Return a visible refusal: rejected entries if the command can be read, and a reply."""
        return Decision(entries=_rejected(record, reason), reply=RefusedReply(400, "rejected", reason))

    def weight(self, record: InputRecord) -> int:
        """Return the number of events in the record, from 1 to 1000, without decoding it; CLOSING_WEIGHT for what may
        close an outcome. Metadata that looks like an event makes it too high, never too low."""
        if record.value.startswith(_CLOSING):
            return CLOSING_WEIGHT
        if record.value.startswith(_UNPRICED):
            return min(record.value.count(b","), MAX_EVENTS)
        return max(1, min(record.value.count(_EVENT), MAX_EVENTS))

    def retained_from(self, record: InputRecord) -> list[RetainedRecord]:
        """Return what is retained of one record of rev.entries: the receipts of charged events with a key, the replies
        to whatever opened or closed an outcome or reserved money, and the outcomes that ended."""
        written = entries.decode(record.value)
        first_id = ids.event_id(record.partition, written.raw_offset)
        found = []
        for entry in written.entries:
            event = entry.event
            if entry.kind in ("registered", "charge", "waived"):
                found += transitions.retained_records(written.customer_id, written.recorded_at, entry, written.test)
                continue
            if entry.kind == "config":
                first = reservation_commands.retained_record(
                    written.customer_id, written.recorded_at, entry, written.test
                )
                found += [] if first is None else [first]
                continue
            if entry.kind != "event" or event is None or event.idempotency_key is None or entry.body_hash is None:
                continue
            price = written.prices[entry.price]
            receipt = receipt_of(entry, price, first_id + entry.index, written.recorded_at)
            key, hashed = event.idempotency_key, entry.body_hash
            found.append(idempotency.receipt_record(written.customer_id, key, hashed, receipt, written.test))
        return found

    def _check_address(self, command: Command, record: InputRecord) -> None:
        """Raise Misaddressed unless key and partition fit: a customer's order and the single sequence of ids depend on
        them."""
        if isinstance(command, _OF_CUSTOMERS):
            right = record.key == command.customer_id.encode()
        elif isinstance(command, _PRICES):
            right = record.key == PRICE_KEY
        elif isinstance(command, ReplayWebhook) and record.key != CONFIG_KEY:
            right = record.key == command.customer_id.encode()
        else:
            right = record.key == CONFIG_KEY and record.partition == self._config_partition
        if not right:
            raise Misaddressed(f"{type(command).__name__} under key {record.key!r} in partition {record.partition}")


def _rejected(record: InputRecord, reason: str) -> bytes | None:
    try:
        command = commands.decode(record.value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # the host keeps the bytes in the dead letters
    if isinstance(command, Meter) and len(command.events) <= MAX_EVENTS:  # beyond this, there are no event ids
        return metering.rejection(command, record, [reason] * len(command.events))
    if isinstance(command, Register | Resolve | Void):
        return refusals.rejection(command, record, reason)
    if isinstance(command, _OF_SPENDING):
        return spending_commands.rejection(command, record, reason)
    if isinstance(command, _OF_RESERVATIONS):
        return reservation_commands.rejection(command, record, reason)
    if isinstance(command, _OF_ANCHORS):
        return anchor_commands.rejection(command, record, reason)
    if isinstance(command, Expire | ReadOutcome | CloseMonth | ChargeUnpriced):
        return None  # it is a question, so no requested change is lost
    return config_transaction.entry_record(record, [Entry("rejected", reason=reason)])
