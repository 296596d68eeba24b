"""How a meter command's events are paid: out of budgets and prepaid credit, event by event. Pure.

A command of a customer without either is plain: :func:`of_command` is None, and costs no look-up for most of them.
"""

from msgspec.structs import replace

from pricer import spend_transaction
from pricer.budgets import Change, SpendRefusal
from pricer.spend_transaction import NOTHING, SpendingTransaction
from schemas import spending
from schemas.commands import Meter, MeterEvent
from schemas.entries import Entry
from schemas.spending import Subject
from streams.types import InputRecord, StateView


class EventFunding:
    """What the events of one meter command spend. ``spends``: what their customer may spend."""

    def __init__(self, api_key_id: int, spends: SpendingTransaction) -> None:
        self._api_key_id = api_key_id
        self._spends = spends

    def pay(self, event: MeterEvent, entry: Entry) -> Entry | SpendRefusal:
        """Return the entry of an event with what its total did to budgets and credit, or why it is refused: then
        nothing is counted or drawn."""
        subject = Subject(event.agent_id, event.action, event.model, self._api_key_id)
        spent = self._spends.charge(subject, entry.total)
        if isinstance(spent, SpendRefusal):
            return spent
        if spent == NOTHING:
            return entry
        return replace(entry, exceeded=spent.exceeded, credit=spent.credit, draws=spent.draws)

    def notices(self, first_index: int, event_id: int) -> list[Entry]:
        """Return entries for the thresholds that were reached; see BudgetTransaction.notices. Before ``changes``."""
        return self._spends.notices(first_index, event_id)

    def changes(self) -> tuple[Change, ...]:
        """Return what the state must hold."""
        return self._spends.changes()


def of_command(command: Meter, record: InputRecord, shard: StateView, marks: bytes | None) -> EventFunding | None:
    """Return how the events of a command are paid; None if nothing limits or counts what they cost. ``marks``: the
    shard's state.PRICE_SCOPED."""
    customer_id, test, on_empty = command.customer_id, command.test, command.on_empty
    if on_empty == "charge" and (marks is None or not spending.may_have(marks, customer_id, test)):
        return None
    found = spend_transaction.of_customer(shard, customer_id, test, record.at, on_empty)
    return None if found is None else EventFunding(command.api_key_id, found)
