"""Both clients know every field that the gateway answers."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ingest.responses as posted
from ingest.bodies import EventBody
from ingest.invoices.invoice_handlers import InvoiceShown
from ingest.reads import usage_responses as reads
from ingest.reads.eventviews import EventShown
from ingest.statements import statement_views
from revgrid import models
from schemas import invoice_objects, meter_responses, objects, reservations, spending, webhooks
from schemas.billing import BillTo

TYPES = (Path(__file__).parents[3] / "sdk" / "js" / "index.d.ts").read_text()

# what the gateway answers, the dataclass, the TypeScript interface
SAME = [
    (meter_responses.MeterResponse, models.MeterResponse, "MeterResponse"),
    (posted.AcceptedResponse, models.MeterResponse, "MeterResponse"),
    (meter_responses.PriceResponse, models.Price, "Price"),
    (meter_responses.LineResponse, models.PriceLine, "PriceLine"),
    (objects.RateObject, models.QuantityRate, "QuantityRate"),
    (objects.StepObject, models.PriceStep, "PriceStep"),
    (meter_responses.AppliedPrice, models.PriceConfig, "PriceConfig"),
    (meter_responses.Breakdown, models.PriceBreakdown, "Breakdown"),
    (meter_responses.DollarBreakdown, models.DollarBreakdown, "DollarBreakdown"),
    (meter_responses.EventResponse, models.EventSubject, "EventSubject"),
    (posted.BatchResponse, models.BatchResponse, "BatchResponse"),
    (posted.AcceptedBatch, models.BatchResponse, "BatchResponse"),
    (posted.BatchResult, models.BatchResult, "BatchResult"),
    (posted.AcceptedResult, models.BatchResult, "BatchResult"),
    (EventShown, models.Event, "EventState"),
    (reads.UsageResponse, models.Usage, "Usage"),
    (reads.Summary, models.UsageSummary, "UsageSummary"),
    (reads.ComponentSums, models.UsageComponent, "UsageComponent"),
    (reads.UsageSums, models.UsageRow, "UsageRow"),
    (posted.EffectivePrice, models.EffectivePrice, "EffectivePrice"),
    (posted.EffectivePrices, models.Pricing, "Pricing"),
    (objects.OutcomeObject, models.Outcome, "Outcome"),
    (spending.GrantObject, models.Grant, "Grant"),
    (spending.BalanceObject, models.Balance, "Balance"),
    (spending.BudgetObject, models.Budget, "Budget"),
    (spending.BudgetList, models.BudgetList, "BudgetList"),
    (reservations.ReservationObject, models.Reservation, "Reservation"),
    (reservations.ReservationList, models.ReservationList, "ReservationList"),
    (statement_views.StatementLine, models.StatementLine, "StatementLine"),
    (statement_views.StatementShown, models.Statement, "Statement"),
    (BillTo, models.BillTo, "BillTo"),
    (invoice_objects.PaymentObject, models.Payment, "Payment"),
    (invoice_objects.InvoiceObject, models.Invoice, "Invoice"),
    (invoice_objects.InvoiceList, models.InvoiceList, "InvoiceList"),
    (invoice_objects.CreditNoteObject, models.CreditNote, "CreditNote"),
    (InvoiceShown, models.InvoiceWithLines, "InvoiceWithLines"),
    (webhooks.WebhookObject, models.Webhook, "Webhook"),
]


@pytest.mark.parametrize(("answered", "model", "interface"), SAME, ids=[f"{one[0].__name__}" for one in SAME])
def test_every_field_of_an_answer_is_known(answered: Any, model: Any, interface: str | None) -> None:
    fields = {one.encode_name for one in msgspec.structs.fields(answered)}
    assert fields <= {one.metadata.get("json", one.name) for one in dataclasses.fields(model)}
    if interface:
        assert fields <= typed(interface)


def test_every_field_of_an_event_is_typed() -> None:
    """Python's meter() is held against the gateway's body by test_sdk_calls.py."""
    assert set(EventBody.__struct_fields__) <= typed("MeterEvent")


def typed(interface: str) -> set[str]:
    """The fields of an interface of index.d.ts, those that it extends included."""
    head, body = re.search(rf"^export interface {interface}\b(.*?) \{{\n(.*?)^\}}", TYPES, re.M | re.S).groups()  # type: ignore[union-attr]
    fields = set(re.findall(r"^  (\w+)\??:", body, re.M))
    for parent in re.findall(r"(?:extends|<|, )\s*([A-Z]\w+)", head):
        if parent != "Omit":
            fields |= typed(parent)
    return fields
