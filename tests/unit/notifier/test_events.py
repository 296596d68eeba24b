"""Entries become domain events by the table of docs/decisions/0023, and the same bytes every time."""

import json

import msgspec
import pytest

from notifier.events import domain_events, replays
from schemas import entries
from schemas.commands import MeterEvent, PriceRef, Rates, ReplayWebhook, encode
from schemas.entries import Entry, EntryRecord
from schemas.ids import event_id
from tests.unit.notifier.world import PRICE

AT = 1_777_204_800_123
EVENT = MeterEvent("agent", "chat", tokens=2400, outcome="success")
DETAIL = msgspec.Raw(b'{"customer_id":"c","id":7,"x":[1.10]}')


def record(*written: Entry, customer: str = "c") -> EntryRecord:
    """As it comes out of the log."""
    return entries.decode(entries.encode(EntryRecord(customer, 42, AT, list(written), [PRICE])))


def test_a_charged_event_says_what_meter_answers() -> None:
    """data of meter.created is the answer of POST /v1/meter; webhook-id comes from the event's id."""
    bonus = PriceRef(1, "chat", Rates("1.2", "0.0001", "0.03"), 0, is_default=True)
    made = EntryRecord("c", 42, AT, [Entry("event", 3, EVENT, 0, "1.2", "0.24", "0.03", "1.47")], [bonus])
    (found,) = domain_events(1, 9, entries.decode(entries.encode(made)))
    number = event_id(1, 42, 3)
    assert (found.id, found.type, found.owner, found.only, found.offset, found.event_index) == (
        f"evt_{number}",
        "meter.created",
        "c",
        None,
        9,
        3,
    )
    body = found.body()
    assert body.startswith(b'{"id":"evt_%d","type":"meter.created","created_at":"2026-04-26T12:00:00.123Z",' % number)
    data = json.loads(body)["data"]
    assert data["event_id"] == number
    assert data["event"]["customer_id"] == "c"
    assert b'"total_cents":1.47,' in body, "money is exact, digit by digit"


@pytest.mark.parametrize(
    ("entry", "type"),
    [
        (Entry("void", original=1, detail=DETAIL), "meter.voided"),
        (Entry("adjustment", event=EVENT, price=0, reason="2026-11", detail=DETAIL), "adjustment.created"),
        (Entry("charge", verdict="succeeded", detail=DETAIL), "outcome.succeeded"),
        (Entry("charge", verdict="failed", detail=DETAIL), "outcome.failed"),
        (Entry("waived", verdict="expired", detail=DETAIL), "outcome.expired"),
        (Entry("config", type="pricing.updated", detail=DETAIL), "pricing.updated"),
        (Entry("config", type="key.created", detail=DETAIL), "key.created"),
        (Entry("config", type="key.revoked", detail=DETAIL), "key.revoked"),
        (Entry("config", type="webhook.disabled", detail=DETAIL), "webhook.disabled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_object_is_passed_on_as_it_stands(entry: Entry, type: str) -> None:
    """data is the entry's detail, byte by byte."""
    (found,) = domain_events(0, 0, record(entry, customer="c"))
    assert (found.type, found.owner, found.only) == (type, "c", None)
    assert found.body().endswith(b'"data":' + bytes(DETAIL) + b"}")


def test_a_refused_event_says_why() -> None:
    """event.rejected repeats the event and the reason."""
    (found,) = domain_events(0, 0, record(Entry("rejected", 2, EVENT, reason="key was used for something else")))
    data = json.loads(found.body())["data"]
    assert found.type == "event.rejected"
    assert (data["event_id"], data["customer_id"], data["status"]) == (event_id(0, 42, 2), "c", "rejected")
    assert (data["error"], data["event"]["action"]) == ("key was used for something else", "chat")
    assert data["created_at"] == "2026-04-26T12:00:00.123Z"


@pytest.mark.parametrize(
    "entry",
    [
        Entry("registered", 0, EVENT, detail=DETAIL),
        Entry("rejected", 0, type="resolve", event=EVENT, reason="too late"),
        Entry("rejected", 0, reason="no event"),
        Entry("config", type="webhook.created", detail=DETAIL),
        Entry("config", type="webhook.replay", detail=DETAIL),
    ],
)
def test_the_rest_is_nobodys_event(entry: Entry) -> None:
    """Nothing is told of what opens, of refused commands, or of an endpoint's own changes."""
    assert list(domain_events(0, 0, record(entry))) == []


def test_a_default_price_is_for_everybody() -> None:
    """pricing.updated without a customer has no owner."""
    detail = msgspec.Raw(b'{"id":1,"customer_id":null}')
    (found,) = domain_events(0, 0, record(Entry("config", type="pricing.updated", detail=detail), customer="_config"))
    assert found.owner is None


def test_a_test_is_for_one_endpoint() -> None:
    """webhook.test goes to the endpoint of its detail alone."""
    (found,) = domain_events(0, 0, record(Entry("config", type="webhook.test", detail=DETAIL), customer="_config"))
    assert (found.owner, found.only) == ("c", 7)


def test_a_replay_is_a_job() -> None:
    """webhook.replay carries its command."""
    command = ReplayWebhook(7, "c", since=5)
    entry = Entry("config", type="webhook.replay", detail=msgspec.Raw(encode(command)))
    (job,) = replays(11, record(entry))
    assert (job.offset, job.command) == (11, command)


def test_every_place_of_a_batch_is_an_event() -> None:
    """A record of many entries gives as many events, each with an id of its own."""
    made = record(*(Entry("event", n, EVENT, 0, "1", "0", "0", "1") for n in range(5)))
    found = list(domain_events(0, 3, made))
    assert [event.event_index for event in found] == list(range(5))
    assert len({event.id for event in found}) == 5
    assert [event.body() for event in found] == [event.body() for event in domain_events(0, 3, made)]
