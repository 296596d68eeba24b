"""How a meter command's events are paid: out of budgets and prepaid credit, event by event. Pure.

A command of a customer without either is plain: :func:`of_command` is None, and costs no look-up for most of them. An
event that settles a reservation is paid with what that holds, and more if it costs more.
"""

from msgspec.structs import replace

from pricer import spend_transaction
from pricer.budgets import Change, SpendRefusal
from pricer.holds import HoldTransaction, subject_of
from pricer.spend_transaction import NOTHING, SpendingTransaction, Spent
from schemas import spending
from schemas.commands import Meter, MeterEvent
from schemas.entries import Entry
from schemas.spending import Subject
from streams.types import InputRecord, StateView


class EventFunding:
    """What the events of one meter command spend. ``spends``: what their customer may spend; ``holds``: what is
    reserved of it."""

    def __init__(self, api_key_id: int, spends: SpendingTransaction, holds: HoldTransaction) -> None:
        self._api_key_id = api_key_id
        self._spends = spends
        self._holds = holds

    def pay(self, event: MeterEvent, entry: Entry, event_id: int) -> Entry | SpendRefusal:
        """Return the entry of an event with what its total did to budgets and credit, or why it is refused: then
        nothing is counted or drawn."""
        subject = Subject(event.agent_id, event.action, event.model, self._api_key_id)
        if event.reservation_id is not None:
            return self._settle(event.reservation_id, subject, entry, event_id)
        spent = self._spends.charge(subject, entry.total)
        return spent if isinstance(spent, SpendRefusal) else _paid(entry, spent)

    def notices(self, first_index: int, event_id: int) -> list[Entry]:
        """Return entries for the thresholds that were reached; see BudgetTransaction.notices. Before ``changes``."""
        return self._spends.notices(first_index, event_id)

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        return (*self._spends.changes(), *self._holds.changes())

    def _settle(self, reservation_id: str, subject: Subject, entry: Entry, event_id: int) -> Entry | SpendRefusal:
        """Return the entry of an event that settles a reservation, with the reservation as it ends."""
        found = self._holds.find(reservation_id)
        if isinstance(found, SpendRefusal):
            return found
        spent = self._spends.settle_reserved(subject_of(found), found, subject, entry.total)
        if isinstance(spent, SpendRefusal):
            return spent
        ended = self._holds.close(found, "settled", event_id, entry.total)
        return replace(_paid(entry, spent), detail=ended)


def of_command(command: Meter, record: InputRecord, shard: StateView, marks: bytes | None) -> EventFunding | None:
    """Return how the events of a command are paid; None if nothing limits or counts what they cost. ``marks``: the
    shard's state.PRICE_SCOPED."""
    customer_id, test, on_empty = command.customer_id, command.test, command.on_empty
    if on_empty == "charge" and (marks is None or not spending.may_have(marks, customer_id, test)):
        return None
    found = spend_transaction.of_customer(shard, customer_id, test, record.at, on_empty)
    return None if found is None else _funding(command, record, shard, found)


def begun(command: Meter, record: InputRecord, shard: StateView) -> EventFunding:
    """Return how the events of a command are paid of a customer whose spending nothing limits or counts."""
    spends = spend_transaction.begun(shard, command.customer_id, command.test, record.at, command.on_empty, None)
    return _funding(command, record, shard, spends)


def _funding(command: Meter, record: InputRecord, shard: StateView, spends: SpendingTransaction) -> EventFunding:
    holds = HoldTransaction(shard, command.customer_id, command.test, record.at)
    return EventFunding(command.api_key_id, spends, holds)


def _paid(entry: Entry, spent: Spent) -> Entry:
    if spent == NOTHING:
        return entry
    return replace(entry, exceeded=spent.exceeded, credit=spent.credit, draws=spent.draws)
